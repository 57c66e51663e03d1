"""Groups of runs that are trained side by side leave what each leaves by itself."""

import csv
import threading

import pytest
import torch

from fer_lightning.fused.engine import FusedTraining
from fer_lightning.fused.single_run import train
from fer_lightning.fused.together import train_together
from fer_lightning.training.run import Run

GROUPS = [
    [["model.hidden=[5]"], ["model.hidden=[5]", "optim.momentum=0.9"]],
    [["model.hidden=[9, 4]", "data.batch_size=3"]],
    [["model=cnn", "data.batch_size=7"]],
]


@pytest.fixture
def begun(csv_path, composed, tmp_path):
    """Return a function that begins the run of a job."""

    def begin(name, job):
        given = ["data=fer2013", f"data.path={csv_path}", "trainer.accelerator=cpu", "threads=1"]
        given += [f"data.cache_dir={tmp_path / 'cache'}", "trainer.max_epochs=3"]
        given += ["data.batch_size=4", "image_every_n_epochs=0", "engine=fused", *job]
        folder = tmp_path / name
        folder.mkdir()
        run = Run(composed("train", *given), folder, [])
        run.begin()
        return run

    return begin


def metrics(folder):
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return torch.tensor([[float(v) for k, v in row.items() if k != "seconds"] for row in rows])


def test_groups_side_by_side_train_as_each_by_itself(begun, tmp_path):
    groups = [
        [begun(f"{i}-{j}", job) for j, job in enumerate(group)] for i, group in enumerate(GROUPS)
    ]
    for group in groups:
        for run in group:
            run.datamodule.share(group[0].datamodule)
    drivers = train_together(*groups)
    assert [driver.run for driver in drivers] == [run for group in groups for run in group]
    for i, group in enumerate(GROUPS):
        for j, job in enumerate(group):
            run = groups[i][j]
            run.finish(0.0)
            alone = begun(f"alone-{i}-{j}", job)
            train(alone.config, alone.folder, [])
            torch.testing.assert_close(
                metrics(run.folder), metrics(alone.folder), rtol=1e-4, atol=1e-6
            )
            assert (run.folder / "summary.json").exists()
            assert (run.folder / "checkpoints" / "last.ckpt").exists()


@pytest.mark.parametrize("groups", [GROUPS[:1], GROUPS])
def test_checkpoints_tell_the_threads_of_all_and_not_those_that_loops_leave(begun, groups):
    made = [[begun(f"{i}-{j}", job) for j, job in enumerate(g)] for i, g in enumerate(groups)]
    for group in made:
        for run in group:
            run.datamodule.share(group[0].datamodule)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train_together(*made)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    for run in (run for group in made for run in group):
        content = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
        assert content["callbacks"]["EpochLog"]["threads"] == 2


def test_a_group_that_diverges_leaves_the_others_to_go_on(begun):
    bad, good = begun("bad", ["optim.lr=1e30"]), begun("good", ["model.hidden=[3]"])
    first, second = train_together([bad], [good])
    assert first.run.epoch_log.diverged_at is not None
    assert (first.epoch, second.epoch) == (first.run.epoch_log.diverged_at, 3)


def test_groups_side_by_side_are_in_threads_of_their_own(begun, monkeypatch):
    both, seen = threading.Barrier(2, timeout=60), set()
    train_epoch = FusedTraining.train_epoch

    def noted(training, epoch):
        if epoch == 0:
            both.wait()  # for the other group, whose turn would never come one after the other
        seen.add(torch.get_num_threads())
        return train_epoch(training, epoch)

    monkeypatch.setattr(FusedTraining, "train_epoch", noted)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train_together([begun("a", [])], [begun("b", ["model.hidden=[3]"])])
    finally:
        torch.set_num_threads(before)
    assert seen == {1}
