"""A run that is trained with others leaves what a run of its own leaves."""

import csv
import json
import signal

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lightning import processes
from fer_lightning.errors import Interrupted
from fer_lightning.fused.engine import FusedTraining
from fer_lightning.fused.together import train_together
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.runs.checkpoint_files import newest_checkpoint
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.run import Run

# "random" is what was drawn before a run, of which networks without dropout know nothing.
DIFFERENT = {"seconds", "overrides", "files", "share", "together", "random"}


@pytest.fixture
def both(csv_path, composed, tmp_path):
    """Train jobs together and each alone; returns the folders of both."""
    from fer_lightning.fused.single_run import train

    def run(*jobs):
        common = ["data=fer2013", f"data.path={csv_path}", "trainer.accelerator=cpu", "threads=1"]
        common += [f"data.cache_dir={tmp_path / 'cache'}", "trainer.max_epochs=4"]
        common += ["data.batch_size=4", "image_every_n_epochs=4"]
        folders = {kind: [tmp_path / f"{kind}{i}" for i in range(len(jobs))] for kind in "ab"}
        configs = [composed("train", *common, *job) for job in jobs]
        runs = []
        for i, config in enumerate(configs):
            for kind in "ab":
                folders[kind][i].mkdir()
            train(config, folders["a"][i], [])
            runs.append(Run(config, folders["b"][i], []))
        for each in runs:
            each.begin()
        for each in sorted(runs, key=lambda run: run.datamodule.seed):
            each.datamodule.share(runs[0].datamodule)
        train_together(runs)
        for each in runs:
            each.finish(0.0)
        return list(zip(*folders.values(), strict=True))

    return run


SGDS = [["optim.momentum=0.9"], ["optim.lr=0.05", "seed=1"], ["optim.weight_decay=0.1"]]
# In float64: of a gradient that is next to nothing AdamW takes the sign, which rounding may turn.
PRECISE_ADAM = ["optim=adamw", "+trainer.precision=64-true"]
ADAMS = [[*PRECISE_ADAM, "optim.lr=0.01"], [*PRECISE_ADAM, "seed=1"]]


def curves(folder):
    with (folder / "metrics.csv").open() as file:
        return [
            {k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
        ]


def scalars(folder):
    found = {}
    for place in ("", "train", "val"):
        events = EventAccumulator(str(folder / place)).Reload()
        for tag in events.Tags()["scalars"]:
            found[f"{place}/{tag}"] = [(e.step, e.value) for e in events.Scalars(tag)]
    return found


def assert_alike(a, b, path=""):
    """Equal, but for the rounding of numbers."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a.keys() - DIFFERENT:
            assert_alike(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for x, y in zip(a, b, strict=True):
            assert_alike(x, y, path)
    elif isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    else:
        assert a == (pytest.approx(b, rel=1e-4) if isinstance(a, float) else b), path


@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("jobs", [SGDS, ADAMS], ids=["sgd", "adamw"])
def test_files_are_those_of_separate_runs(both, model, jobs):
    for alone, together in both(*([f"model={model}", *job] for job in jobs)):
        names = [{p.name.split(".vm.")[0][:20] for p in f.rglob("*")} for f in (alone, together)]
        assert names[0] == names[1]
        assert_alike(curves(alone), curves(together))
        assert_alike(scalars(alone), scalars(together))
        summaries = [json.loads((f / "summary.json").read_text()) for f in (alone, together)]
        assert_alike(*summaries)
        for name in ("best.ckpt", "last.ckpt"):
            files = [f / "checkpoints" / name for f in (alone, together)]
            assert_alike(*(torch.load(file, weights_only=True) for file in files))
            assert files[0].stat().st_size == pytest.approx(files[1].stat().st_size, rel=0.05)
        loaded = ExpressionClassifier.load_from_checkpoint(together / "checkpoints" / "best.ckpt")
        assert isinstance(loaded.network, {"mlp": MLP, "cnn": CNN}[model])


def test_float64_curves_agree_to_1e_9(both):
    jobs = [["+trainer.precision=64-true", *job] for job in SGDS]
    for alone, together in both(*jobs):
        for a, b in zip(curves(alone), curves(together), strict=True):
            assert a == pytest.approx(b, rel=1e-8)  # nine digits are written


def test_a_run_that_diverges_ends_and_the_others_go_on(both):
    (wild, its_twin), (tame, other) = both(["optim.lr=1e30"], ["optim.lr=0.01"])
    assert json.loads((its_twin / "summary.json").read_text())["diverged"]
    assert len(curves(its_twin)) == len(curves(wild)) < 4
    assert_alike(curves(tame), curves(other))


def test_a_group_that_a_signal_ends_goes_on_as_if_it_had_not(group):
    expected = [curves(run.folder) for run in group("whole")]
    cut = group("cut", epochs_before_a_signal=2)
    # it comes while the second epoch is written down, too late for all to save that
    assert [len(curves(run.folder)) for run in cut] == [3, 3, 1]
    going_on = group("cut", resume=True)
    assert [run.stored.epoch for run in going_on] == [3, 3, 1]
    assert repr([curves(run.folder) for run in going_on]) == repr(expected)  # NaN is not NaN
    assert [len(rows) for rows in expected] == [4, 4, 1]  # the last one diverges


def test_those_that_are_stopped_leave_a_smaller_training_with_the_same_curves(
    group, tmp_path, monkeypatch
):
    expected = [curves(run.folder) for run in group("whole", rates=RATES, precise=True)]
    sizes = []
    train_epoch = FusedTraining.train_epoch

    def counted(self, epoch):
        sizes.append(len(self.network))
        return train_epoch(self, epoch)

    monkeypatch.setattr(FusedTraining, "train_epoch", counted)
    ends = (1, 4, 2, 4, 1)
    runs = group("stopped", rates=RATES, precise=True, ends=ends)
    assert sizes == [5, 3, 2, 2]
    for run, end, whole in zip(runs, ends, expected, strict=True):
        assert run.stops.stopped == (None if end == 4 else f"after {end}")
        own = curves(run.folder)
        assert len(own) == end
        for row, other in zip(own, whole, strict=False):
            assert row == pytest.approx(other, rel=1e-8)  # nine digits are written
        stored = newest_checkpoint(run.folder / "checkpoints")
        assert stored.epoch == end
        weights = stored.content["state_dict"]
        for name, parameter in run.model.state_dict().items():
            assert torch.equal(weights[name], parameter)


RATES = ("0.01", "0.05", "0.02", "0.03", "0.04")


@pytest.fixture
def group(csv_path, composed, tmp_path, monkeypatch):
    """Train three models together in folders that begin with a name; returns their runs."""
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0)  # no alarm in the tests' process

    def train(
        name,
        epochs_before_a_signal=None,
        resume=False,
        rates=("0.01", "0.05", "1e30"),
        precise=False,
        ends=(),
    ):
        common = ["data=fer2013", f"data.path={csv_path}", "trainer.accelerator=cpu", "threads=1"]
        common += ["data.cache_dir=null", "trainer.max_epochs=4", "data.batch_size=4"]
        common += ["image_every_n_epochs=0", "optim.momentum=0.9", "compile=false"]
        runs = []
        common += ["+trainer.precision=64-true"] if precise else []
        for i, lr in enumerate(rates):
            folder = tmp_path / f"{name}{i}"
            folder.mkdir(exist_ok=True)
            settings = [*common, f"optim.lr={lr}"]
            runs.append(
                Run(
                    composed("train", *settings, f"resume={folder if resume else 'null'}"),
                    folder,
                    [],
                    judge_at(ends[i]) if ends else None,
                )
            )
            if resume:
                runs[-1].stored = newest_checkpoint(folder / "checkpoints")
            runs[-1].begin()
        for each in runs[1:]:
            each.datamodule.share(runs[0].datamodule)
        if epochs_before_a_signal:
            arrives_after(runs[1], epochs_before_a_signal)
            with pytest.raises(Interrupted):
                train_together(runs)
        else:
            train_together(runs)
        return runs

    return train


def judge_at(end):
    """Return a judge who stops a run after an epoch."""
    return lambda epoch, means: f"after {epoch}" if epoch == end else None


def arrives_after(run, epochs):
    """Let a signal arrive at the end of an epoch."""
    original = run.checkpoints.on_validation_end

    def with_signal(training):
        original(training)
        if training.current_epoch + 1 == epochs:
            processes._signals.arrived(signal.SIGTERM, None)

    run.checkpoints.on_validation_end = with_signal
