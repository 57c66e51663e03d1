"""Runs that are trained together, each with the files of a run of its own."""

import time
from collections.abc import Sequence

import torch
from torch import nn

from fer_lightning.data.faces import SPLITS, FaceSplits
from fer_lightning.fused.compiling import Compilation
from fer_lightning.fused.driving import Driver
from fer_lightning.fused.engine import FusedTraining, Means, Member
from fer_lightning.interruption import signals_wait, stop_if_waiting
from fer_lightning.progress import EpochBar
from fer_lightning.training import Run

COMPILE = {"auto": None, True: True, False: False}
PRECISIONS = {"32-true": torch.float32, "64-true": torch.float64}


def train_together(runs: Sequence[Run]) -> list[Driver]:
    """Train networks of one shape as one, until each has had its epochs or has diverged.

    Args:
        runs: That have begun, with one batch size and number of epochs; those that share their
            minibatches stand side by side. Those that go on from a checkpoint have all done as many
            epochs, but for those that have diverged before.

    Returns:
        The drivers of the runs, at the end of their training.
    """
    for run in runs:
        if run.stored:
            run.model.load_state_dict(run.stored.content["state_dict"])
    training = FusedTraining(members(runs), runs[0].datamodule.batch_size)
    for m, run in enumerate(runs):
        if run.stored:
            training.optimizer.load(m, run.stored.content["optimizer_states"][0]["state"])
    _tie(training, runs)
    drivers = [
        Driver(run, training.optimizer.of_model(m, run.model.parameters()))
        for m, run in enumerate(runs)
    ]
    for driver in drivers:
        driver.run.epoch_log.share = 1 / len(runs)
        if len(runs) > 1:  # pictures of many runs would take longer than their training
            driver.run.image_log.times = 1
        driver.start()
    compilation = Compilation(COMPILE[runs[0].config.compile])
    bar = EpochBar(runs[0].trainer.max_epochs or 0)
    try:
        with signals_wait():
            while not all(driver.has_ended for driver in drivers):
                began = time.perf_counter()
                if _epoch(training, drivers):
                    stop_if_waiting()
                left = bar.epochs - max(driver.epoch for driver in drivers)
                told = compilation.consider(training, left * (time.perf_counter() - began))
                if told:
                    bar.console.print(told, highlight=False, soft_wrap=True)
                if bar.is_due and left:
                    bar.draw(bar.epochs - left, _figures(drivers))
        bar.draw(max(driver.epoch for driver in drivers), _figures(drivers))
    finally:
        bar.stop()
    return drivers


def members(runs: Sequence[Run]) -> list[Member]:
    """What the engine needs to know of each run; networks and faces go to the device."""
    splits: dict[int, FaceSplits] = {}
    made = []
    for run in runs:
        run.datamodule.trainer = run.trainer
        faces = [run.datamodule.resident(split) for split in SPLITS]
        shared = splits.setdefault(id(faces[0]), FaceSplits(*faces))
        dtype = PRECISIONS[run.trainer.precision]
        network = run.model.to(run.trainer.strategy.root_device, dtype)
        made.append(Member(network, network.optimizer, shared, run.datamodule.seed))
    return made


def _tie(training: FusedTraining, runs: Sequence[Run]) -> None:
    """Let the weights of every network be views of those that are trained together."""
    stacks = zip(training.network.names, training.network.parameters, strict=True)
    for name, stack in stacks:
        for m, run in enumerate(runs):
            run.model.get_parameter(name).data = stack[m]


def _untie(network: nn.Module) -> None:
    """Give a network that has ended weights of its own."""
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()


def _epoch(training: FusedTraining, drivers: Sequence[Driver]) -> bool:
    """Train and end an epoch; whether its end has been saved, that of all runs or of none."""
    alive = [m for m, driver in enumerate(drivers) if not driver.has_ended]
    for m in alive:
        drivers[m].start_epoch()
    train, val = training.train_epoch(drivers[alive[0]].epoch), training.validate()
    due = drivers[alive[0]].run.checkpoints.is_due
    for m in alive:
        drivers[m].run.checkpoints.wanted = due  # so that all can go on from one epoch
        drivers[m].end_epoch(_metrics(train, val, m))
        if drivers[m].has_ended:
            _untie(drivers[m].run.model)
    return due


def _metrics(train: Means, val: Means, m: int) -> dict[str, torch.Tensor]:
    return {
        f"{split}/{name}": getattr(means, name)[m]
        for split, means in (("train", train), ("val", val))
        for name in ("ce", "acc")
    }


def _figures(drivers: Sequence[Driver]) -> str:
    best = max(driver.run.checkpoints.best_acc for driver in drivers)
    n_training = sum(not driver.has_ended for driver in drivers)
    diverged = sum(driver.run.epoch_log.diverged_at is not None for driver in drivers)
    together = f"{n_training or len(drivers)} models at once  " if len(drivers) > 1 else ""
    told = f"{together}best val acc {best:.1%}"
    return f"{told}  {diverged} diverged" if diverged else told
