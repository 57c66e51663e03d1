"""A run that was cut off ends as one that was not."""

import csv
import errno
import json
import logging
from types import SimpleNamespace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lightning import processes
from fer_lightning.errors import InputError, Interrupted
from fer_lightning.files.writing import full_disk_is_told
from fer_lightning.fused.single_run import train
from fer_lightning.training.by_lightning.callbacks import SavingWithin
from fer_lightning.training.callbacks import checkpoints
from fer_lightning.training.callbacks.epoch_log import EpochLog

EPOCHS = 6
# The learning rate falls after each epoch that has not halved the loss.
PLATEAU = ["schedule=plateau", "schedule.patience=0", "schedule.threshold=0.5"]
# A recipe for faces that are changed at random, and a network that draws random numbers itself.
RECIPE = ["model=resnet", "model.stem=4", "model.widths=[4]", "model.depths=[1]", "optim=muon"]
RECIPE += ["schedule=one_cycle", "augment=standard", "callbacks=ema", "tta=flip"]
RECIPE += ["loss.label_smoothing=0.1", "loss.weight=balanced", "data.balanced=true"]
RECIPE += ["data.contrast=equalise"]
DROPOUT = ["model=vgg", "model.widths=[4]", "model.hidden=[8]", "model.dropout=0.5"]
DROPOUT += ["optim.lr=0.005", "optim.momentum=0.5"]  # at which its units stay alive
TODAYS = ("seconds", "commit")  # what differs between two runs of the same settings


@pytest.fixture
def run_here(csv_path, composed, tmp_path):
    """Train in a folder of tmp_path, anew or on from what is there."""

    def run(name, *overrides, resume=False):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        given = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null", "threads=1"]
        given += ["trainer.accelerator=cpu", f"trainer.max_epochs={EPOCHS}", "data.batch_size=4"]
        given += [
            "optim.lr=0.05",
            "optim.momentum=0.9",
            "image_every_n_epochs=2",
            "engine=lightning",
        ]
        given += [f"resume={folder}"] if resume else []
        return train(composed("train", *given, *overrides), folder, list(overrides))

    return run


@pytest.fixture
def stops(monkeypatch):
    """Let a signal arrive in the middle of an epoch, or of none."""

    def after(epochs, steps=None):
        validated, stepped = EpochLog.on_validation_end, SavingWithin.on_train_batch_end

        def after_validation(self, training):
            validated(self, training)
            if training.current_epoch + 1 == epochs:
                processes._signals.arrived(15, None)

        def after_step(self, trainer, *args):
            done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
            if trainer.current_epoch + 1 == epochs and done == steps:
                processes._signals.arrived(15, None)
            stepped(self, trainer, *args)

        if steps is None:
            monkeypatch.setattr(EpochLog, "on_validation_end", after_validation)
        else:
            monkeypatch.setattr(SavingWithin, "on_train_batch_end", after_step)
        monkeypatch.setattr(processes, "GRACE_SECONDS", 0)  # no alarm in the tests' process
        return monkeypatch.undo

    return after


@pytest.fixture
def cut_off(run_here, stops):
    """Train in a folder until a signal comes in an epoch, or in several, one after another.

    It comes in the validation, or after so many steps.
    """

    def cut(name, *overrides, epochs=(3,), steps=None):
        for i, epoch in enumerate(epochs):
            undo = stops(epoch, steps)
            with pytest.raises(Interrupted):
                run_here(name, *overrides, resume=i > 0)
            undo()

    return cut


def left(folder):
    """What a run has left, but for the time it took."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row[:-1] for row in csv.reader(file)]
    summary = json.loads((folder / "summary.json").read_text())
    shown = [
        EventAccumulator(str(place), size_guidance={"scalars": 0, "images": 0}).Reload()
        for place in (folder, folder / "train", folder / "val")
    ]
    events = shown[0]
    tags = events.Tags()
    return {
        "files": {
            p.relative_to(folder).as_posix().split(".tfevents")[0] for p in folder.rglob("*")
        },
        "rows": rows,
        "summary": {key: value for key, value in summary.items() if key not in TODAYS},
        # of files that began in one second, the later may be read first
        "scalars": [
            {t: sorted((e.step, e.value) for e in of.Scalars(t)) for t in of.Tags()["scalars"]}
            for of in shown
        ],
        "images": {tag: sorted(e.step for e in events.Images(tag)) for tag in tags["images"]},
        "texts": {tag: len(events.Tensors(tag)) for tag in tags["tensors"]},
    }


def assert_same(a, b):
    assert left(a) == left(b)
    for name in ("best", "last"):
        weights = [
            torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
            for folder in (a, b)
        ]
        assert all(torch.equal(w, weights[1][key]) for key, w in weights[0].items())


@pytest.mark.parametrize(
    "settings",
    [
        ["model=cnn"],
        ["optim.momentum=0.0", "optim.weight_decay=0.1"],
        ["engine=fused", "compile=false"],
        ["model=cnn", "engine=fused", "optim.momentum=0.9"],
        PLATEAU,
        [*PLATEAU, "engine=fused", "compile=false"],
        ["trainer=ddp", "trainer.devices=2"],
        [*RECIPE, "augment.mixup=0.4"],
        DROPOUT,
    ],
    ids=[
        "cnn",
        "mlp",
        "fused",
        "cnn, fused",
        "plateau",
        "plateau, fused",
        "two processes",
        "recipe",
        "dropout",
    ],
)
def test_a_run_cut_off_twice_leaves_what_an_uninterrupted_one_does(
    run_here, cut_off, tmp_path, settings
):
    whole = run_here("whole", *settings)
    cut_off("cut", *settings, epochs=(2, 5))
    assert run_here("cut", *settings, resume=True) == whole
    assert_same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("settings", [["schedule=cosine"], PLATEAU], ids=["cosine", "plateau"])
@pytest.mark.parametrize(("first", "then"), [("lightning", "fused"), ("fused", "lightning")])
def test_a_run_goes_on_by_the_other_engine(run_here, cut_off, tmp_path, settings, first, then):
    given = [*settings, "+trainer.precision=64-true", "compile=false"]
    run_here("whole", *given, f"engine={then}")
    cut_off("cut", *given, f"engine={first}", epochs=(3,))
    run_here("cut", *given, f"engine={then}", resume=True)
    whole, cut = (left(tmp_path / name)["rows"][1:] for name in ("whole", "cut"))
    assert len(cut) == EPOCHS
    for row, expected in zip(cut, whole, strict=True):
        assert list(map(float, row)) == pytest.approx(list(map(float, expected)), rel=1e-7)


# The 16 faces are four minibatches.
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(
    "settings",
    [
        ["model=mlp", "schedule=cosine"],  # which takes a step for each minibatch
        ["model=cnn", "schedule=cosine"],
        [*RECIPE, "augment.mixup=0.4"],
        [*RECIPE, "augment.cutmix=0.4"],
        DROPOUT,
    ],
    ids=["mlp", "cnn", "mixup", "cutmix", "dropout"],
)
def test_a_run_cut_off_within_epochs_goes_on_there(
    run_here, cut_off, tmp_path, settings, steps, caplog
):
    whole = run_here("whole", *settings)
    cut_off("cut", *settings, epochs=(1, 4), steps=steps)
    stored = torch.load(tmp_path / "cut" / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["epoch_so_far"]["minibatches"] == steps
    caplog.set_level(logging.INFO)
    assert run_here("cut", *settings, resume=True) == whole
    assert "goes on within epoch 4 of 6" in caplog.text
    assert_same(tmp_path / "whole", tmp_path / "cut")
    loops = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["loops"]
        for name in ("whole", "cut")
    ]
    assert loops[0] == loops[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minibatches", 0),
        ("minibatches", "3"),
        ("logits", torch.zeros(4, 6)),
        ("labels", torch.zeros(4)),
        ("labels", torch.zeros(4, 6)),
        ("labels", None),
        ("more", 1),
    ],
)
def test_a_part_of_an_epoch_that_is_none_is_damage(
    run_here, cut_off, tmp_path, caplog, name, value
):
    cut_off("cut", epochs=(2,), steps=1)
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    content["epoch_so_far"][name] = value
    torch.save(content, last)
    run_here("cut", resume=True)
    assert f"{last}: damaged (" in caplog.text
    assert (tmp_path / "cut" / "summary.json").exists()


def test_a_long_epoch_is_saved_within(run_here, tmp_path, monkeypatch):
    written = []
    original = checkpoints.Checkpoints.write

    def write(self, training):
        original(self, training)
        last = torch.load(self.folder / "last.ckpt", weights_only=True)
        written.append((training.current_epoch, "epoch_so_far" in last))

    monkeypatch.setattr(checkpoints.Checkpoints, "write", write)
    seconds = iter(range(10_000))  # one at each look
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    long = ["trainer.max_epochs=1", "checkpoint_every_seconds=1.5"]
    run_here("long", *long)
    assert written == [(0, True), (1, False)]


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    run_here, cut_off, tmp_path, caplog
):
    settings = ["checkpoint_every_seconds=0"]
    run_here("whole", *settings)
    cut_off("cut", *settings, epochs=(4,))
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-1000])
    caplog.set_level(logging.INFO)
    run_here("cut", *settings, resume=True)
    assert f"{last}: damaged (" in caplog.text
    assert f"goes on within epoch 4 of {EPOCHS}" in caplog.text
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_without_a_checkpoint_a_run_begins_anew_and_says_so(run_here, cut_off, tmp_path, caplog):
    run_here("whole")
    cut_off("cut")
    for path in (tmp_path / "cut" / "checkpoints").iterdir():
        path.write_bytes(b"PK")
    caplog.set_level(logging.INFO)
    run_here("cut", resume=True)
    assert "begins anew: there is no checkpoint to go on from" in caplog.text
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_a_run_that_is_done_is_left_alone(run_here, tmp_path):
    whole = run_here("whole")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*")}
    assert run_here("whole", resume=True) == whole
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*")} == before


@pytest.mark.parametrize("name", ["summary.json", "last.ckpt"])
def test_a_full_disk_is_one_line_and_the_run_goes_on_later(run_here, tmp_path, monkeypatch, name):
    from fer_lightning.files import writing as atomic

    settings = ["checkpoint_every_seconds=0"]
    run_here("whole", *settings)
    original, n_written = atomic.Path.replace, []

    def full(self, target):
        n_written.append(target.name)
        if target.name == name and n_written.count(name) == (1 if name == "summary.json" else 4):
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, target)

    monkeypatch.setattr(atomic.Path, "replace", full)
    folder = tmp_path / "cut"
    told = f"the disk is full; .* with resume={folder}"
    with pytest.raises(InputError, match=told), full_disk_is_told(folder):
        run_here("cut", *settings)
    monkeypatch.undo()
    assert not list(folder.rglob(".*.part"))
    run_here("cut", *settings, resume=True)
    assert_same(tmp_path / "whole", folder)


def test_other_faults_are_not_told_as_a_full_disk(tmp_path):
    with pytest.raises(FileNotFoundError), full_disk_is_told(tmp_path):
        (tmp_path / "gone").read_text()


def test_checkpoints_hold_the_best_network_so_that_both_files_are_of_one_epoch(cut_off, tmp_path):
    cut_off("cut", epochs=(3,))
    folder = tmp_path / "cut" / "checkpoints"
    best = torch.load(folder / "best.ckpt", weights_only=True)
    last = torch.load(folder / "last.ckpt", weights_only=True)
    state = last["callbacks"][checkpoints.Checkpoints.__name__]["best"][0]["content"]["state_dict"]
    assert all(torch.equal(w, state[name]) for name, w in best["state_dict"].items())
