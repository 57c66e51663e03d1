"""Several processes that train one network, against one process."""

import csv
import json
import multiprocessing

import pytest

from fer_lightning.errors import InputError, SettingError
from fer_lightning.processes import joined_by_others, leads, n_processes, rank

TWO = ["trainer=ddp", "trainer.devices=2"]


def curve_of(folder):
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [float(v) for row in rows for key, v in row.items() if key != "seconds"]


def files_of(folder):
    return {path.relative_to(folder).as_posix().split(".tfevents")[0] for path in folder.rglob("*")}


# Of 14 faces, 13 a minibatch leave one: the second process has none of it.
@pytest.mark.parametrize(
    ("model", "precision", "batch_size", "tolerance"),
    [("cnn", "64-true", 13, 1e-9), ("mlp", "32-true", 5, 1e-5)],
)
def test_two_processes_give_the_curve_of_one(
    train_here, tmp_path, model, precision, batch_size, tolerance
):
    settings = [f"model={model}", f"+trainer.precision={precision}", "optim.lr=0.05"]
    settings += [f"data.batch_size={batch_size}", "optim.momentum=0.5"]
    returned = [train_here("one", *settings), train_here("two", *settings, *TWO)]
    assert returned[0] == pytest.approx(returned[1], abs=1e-8)
    one, two = (curve_of(tmp_path / name) for name in ("one", "two"))
    assert one == pytest.approx(two, rel=tolerance)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    summaries = [json.loads((tmp_path / n / "summary.json").read_text()) for n in ("one", "two")]
    for key in ("final", "best"):
        for split in ("train", "val", "test"):
            figures = [summary[key][split]["ce"] for summary in summaries]
            assert figures[0] == pytest.approx(figures[1], rel=tolerance)
    assert not multiprocessing.active_children()


def test_a_mistake_ends_all_processes(train_here):
    with pytest.raises(InputError, match="no_such_file"):
        train_here("run", *TWO, "data.path=no_such_file")
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["trainer.devices=2"], "trainer.devices must be 1 unless trainer=ddp is given, got 2"),
        (["trainer=ddp", "trainer.devices=0"], "trainer.devices must be an integer of at least 1"),
        (["+trainer.strategy=fsdp"], "trainer.strategy must be auto or ddp, got 'fsdp'"),
    ],
)
def test_devices_that_cannot_be_had_are_named(train_here, settings, told):
    with pytest.raises(SettingError, match=told):
        train_here("run", *settings)


def test_as_many_devices_as_processes_were_started(train_here, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(SettingError, match=r"trainer\.devices must be 4, the number of processes"):
        train_here("run", *TWO)


def test_processes_that_are_there_already_start_no_others(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with joined_by_others(2, print):
        assert not multiprocessing.active_children()
        assert (rank(), n_processes(), leads()) == (1, 2, False)
