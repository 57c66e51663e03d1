import csv
import json

import pytest


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("engine", ["lightning", "fused"])
def test_a_paused_run_goes_on_to_the_curve_of_one_that_was_not(train_here, tmp_path, engine):
    given = [f"engine={engine}", "trainer.max_epochs=4", "schedule=cosine", "optim.momentum=0.9"]
    train_here("whole", *given)
    train_here("paused", *given, "pause.epoch=2")
    folder = tmp_path / "paused"
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["epochs"], summary["stopped"]) == (2, "at epoch 2")
    assert rows(folder) == rows(tmp_path / "whole")[:2]
    train_here("paused", *given, f"resume={folder}")
    assert rows(folder) == rows(tmp_path / "whole")
    assert json.loads((folder / "summary.json").read_text())["stopped"] is None


@pytest.mark.parametrize("engine", ["lightning", "fused"])
def test_a_run_that_was_cut_off_at_its_pause_is_not_trained_further(train_here, tmp_path, engine):
    given = [f"engine={engine}", "trainer.max_epochs=4", "pause.epoch=2", "pause.rung=1"]
    train_here("paused", *given)
    folder = tmp_path / "paused"
    before = rows(folder)
    (folder / "summary.json").unlink()
    train_here("paused", *given, f"resume={folder}")
    assert rows(folder) == before
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["epochs"], summary["stopped"]) == (2, "at rung 1")


def test_a_pause_after_the_last_epoch_is_none(train_here, tmp_path):
    train_here("run", "trainer.max_epochs=2", "pause.epoch=2")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["stopped"] is None


@pytest.mark.parametrize(("pause", "shows"), [([], True), (["pause.rung=1"], False)])
def test_pictures_are_drawn_where_a_user_pauses_but_at_no_rung(train_here, tmp_path, pause, shows):
    given = ["trainer.max_epochs=2", "pause.epoch=1", *pause]
    train_here("run", *given, "image_every_n_epochs=null", "model.hidden=[4]")
    (events,) = (tmp_path / "run").glob("events*")
    assert (b"first_layer" in events.read_bytes()) == shows
