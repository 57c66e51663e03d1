"""Schedules against PyTorch's own, and the two engines against each other."""

import csv
from functools import partial

import pytest
import torch
from torch.optim import lr_scheduler

from fer_lightning.errors import SettingError
from fer_lightning.training.optim.schedules import Cosine, OneCycle, Plateau, Step, configured

STEPS, EPOCHS = 5, 6  # steps an epoch


def rates(schedule, metrics=None, steps=STEPS, epochs=EPOCHS):
    """The learning rates of all steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    told = configured(schedule, optimizer, steps, steps * epochs)
    found = []
    for epoch in range(epochs):
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if told["interval"] == "step":
                told["scheduler"].step()
        if told["interval"] == "epoch":
            told["scheduler"].step(*([metrics[epoch]] if metrics else []))
    return found


def of_pytorch(scheduler, every=1):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    made, found = scheduler(optimizer), []
    for step in range(STEPS * EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            made.step()
    return found


N = STEPS * EPOCHS


@pytest.mark.parametrize(
    ("ours", "theirs", "every"),
    [
        (Cosine(final=0.1), partial(lr_scheduler.CosineAnnealingLR, T_max=N, eta_min=0.04), 1),
        (Step(every_epochs=2), partial(lr_scheduler.StepLR, step_size=2), STEPS),
        (
            partial(lr_scheduler.ExponentialLR, gamma=0.5),
            partial(lr_scheduler.ExponentialLR, gamma=0.5),
            STEPS,
        ),
    ],
)
def test_rates_are_those_of_pytorch(ours, theirs, every):
    assert rates(ours) == pytest.approx(of_pytorch(theirs, every), rel=1e-9)


def test_one_cycle_rises_and_falls_between_the_rates_of_pytorch():
    found = rates(OneCycle(rise=0.5, first=10, last=100))
    theirs = of_pytorch(
        partial(
            lr_scheduler.OneCycleLR,
            max_lr=0.4,
            total_steps=N + 1,
            pct_start=16 / 31,  # whose peak is a step before that share of the others
            div_factor=10,
            final_div_factor=100,
        )
    )
    assert found == pytest.approx(theirs, rel=1e-9)
    assert max(found) == found[15] == pytest.approx(0.4)


def test_a_warm_up_comes_before_the_schedule():
    found = rates(Cosine(warmup_epochs=2))
    assert found[:10] == pytest.approx([0.4 * (i + 1) / 11 for i in range(10)])
    assert found[10:] == pytest.approx(rates(Cosine(), epochs=EPOCHS - 2))


def test_a_plateau_waits_for_its_metric():
    metrics = [1.0, 0.5, 0.5, 0.5, 0.4, 0.4]
    found = rates(Plateau(patience=1), metrics)[::STEPS]
    assert found == pytest.approx([0.4, 0.4, 0.4, 0.4, 0.04, 0.04])
    warmed = rates(Plateau(patience=1, warmup_epochs=1), metrics)[::STEPS]
    assert warmed == pytest.approx([0.2, 0.4, 0.4, 0.4, 0.04, 0.04])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (partial(Cosine, final=1), "final must be a number of at least 0 and below 1"),
        (partial(Cosine, warmup_epochs=-1), "warmup_epochs must"),
        (partial(OneCycle, rise=0), "rise must"),
        (partial(Step, gamma=2), "gamma must"),
        (partial(Plateau, mode="up"), "mode must be min or max"),
    ],
)
def test_settings_have_their_rules(make, told):
    with pytest.raises(SettingError, match=told):
        make()


SETTINGS = {
    "cosine": ["schedule=cosine", "schedule.warmup_epochs=1"],
    "one_cycle": ["schedule=one_cycle", "optim.momentum=0.9"],
    "step": ["schedule=step", "schedule.every_epochs=2", "optim=adamw", "optim.lr=0.01"],
    "plateau": ["schedule=plateau", "schedule.patience=0", "schedule.threshold=0.5"],
}


def curve(run):
    with (run / "metrics.csv").open() as file:
        return [
            {k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("name", SETTINGS)
def test_both_engines_take_the_same_steps(train_here, tmp_path, name):
    common = [*SETTINGS[name], "+trainer.precision=64-true", "data.batch_size=3"]
    common += ["trainer.max_epochs=5", "checkpoint_every_seconds=0"]
    for engine in ("lightning", "fused"):
        train_here(engine, f"engine={engine}", *common)
    for a, b in zip(curve(tmp_path / "lightning"), curve(tmp_path / "fused"), strict=True):
        assert a == pytest.approx(b, rel=1e-8)  # nine digits are written
    lasts = [
        torch.load(tmp_path / e / "checkpoints" / "last.ckpt", weights_only=True)
        for e in ("lightning", "fused")
    ]
    for key, weight in lasts[0]["state_dict"].items():
        torch.testing.assert_close(weight, lasts[1]["state_dict"][key], rtol=1e-9, atol=1e-12)
    states = [last["lr_schedulers"][0]["_last_lr"] for last in lasts]
    assert states[0] == pytest.approx(states[1], rel=1e-12)
    assert lasts[0]["loops"] == lasts[1]["loops"]
    others = [setting for setting in common if not setting.startswith("schedule")]
    train_here("constant", "engine=lightning", *others)
    assert curve(tmp_path / "constant") != curve(tmp_path / "lightning")
