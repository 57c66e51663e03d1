"""Runs that are trained together, each with the files of a run of its own."""

import time
from collections.abc import Sequence

import torch
from torch import nn

from fer_lightning.data import SPLITS, FaceSplits
from fer_lightning.fused.compiling import Compilation
from fer_lightning.fused.driver import Driver
from fer_lightning.fused.engine import FusedTraining, Means, Member, sharing
from fer_lightning.fused.scoring import score_together
from fer_lightning.networks import CNN, MLP
from fer_lightning.processes import signals_wait, stop_if_waiting
from fer_lightning.runs import as_now
from fer_lightning.training import EpochBar, Run

COMPILE = {"auto": None, True: True, False: False}
PRECISIONS = dict.fromkeys(("None", "32", "32-true"), torch.float32)
PRECISIONS |= dict.fromkeys(("64", "64-true"), torch.float64)


def train_together(runs: Sequence[Run]) -> list[Driver]:
    """Train networks of one shape as one, until each has had its epochs or is stopped.

    Args:
        runs: Runs that have begun, with one batch size and number of epochs; those that share their
            minibatches are adjacent. Those that go on from a checkpoint have all done equally many
            epochs, except those that have diverged before.

    Returns:
        The drivers of the runs, at the end of their training.
    """
    for run in runs:
        if run.stored:
            as_now(run.stored.content)
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
        if len(runs) > 1 and driver.run.image_log.every_n_epochs is None:
            # pictures of many runs would take nearly as long as their training
            driver.run.image_log.every_n_epochs = 0
        driver.start()
        driver.run.epoch_log.share = 1 / len(runs)
        driver.run.epoch_log.together |= len(runs) > 1
    wanted = COMPILE[runs[0].config.compile]
    compilation, riding = Compilation(training, wanted), drivers
    bar = EpochBar(runs[0].config.trainer.max_epochs, runs[0].config.trainer.enable_progress_bar)
    try:
        with signals_wait():
            while not all(driver.has_ended for driver in drivers):
                began = time.perf_counter()
                if _is_worth_fewer(training, riding):  # here, as one that goes on begins so
                    training, riding = _of_the_others(riding, training.batch_size)
                    compilation = Compilation(training, wanted)
                with training.side_by_side():  # also what is done between epochs
                    saved = _epoch(training, riding)
                if saved:
                    stop_if_waiting()
                left = bar.epochs - max(driver.epoch for driver in drivers)
                told = compilation.consider(left * (time.perf_counter() - began))
                if told:
                    bar.console.print(told, highlight=False, soft_wrap=True)
                if bar.is_due and left:
                    bar.draw(bar.epochs - left, _figures(drivers))
        bar.draw(max(driver.epoch for driver in drivers), _figures(drivers))
    finally:
        bar.stop()
    if len(runs) > 1:
        score_together(runs, members(runs))
    return drivers


def members(runs: Sequence[Run]) -> list[Member]:
    """Return the runs as members of a training, with networks and faces on its device."""
    splits: dict[int, FaceSplits] = {}
    made = []
    for run in runs:
        run.datamodule.device = run.device
        faces = [run.datamodule.resident(split) for split in SPLITS]
        shared = splits.setdefault(id(faces[0]), FaceSplits(*faces))
        dtype = PRECISIONS[str(run.config.trainer.get("precision"))]
        model = run.model.to(run.device, dtype)
        network = model.network
        assert isinstance(network, MLP | CNN)
        made.append(Member(network, model.optimizer, shared, run.datamodule.seed))
    return made


def _tie(training: FusedTraining, runs: Sequence[Run]) -> None:
    """Make the weights of every network views of those that are trained together."""
    stacks = zip(training.network.names, training.network.parameters, strict=True)
    for name, stack in stacks:
        for m, run in enumerate(runs):
            run.model.network.get_parameter(name).data = stack[m]


# Networks that have ended are left out when no more than this share of all goes on.
_LEFT = 0.75


def _is_worth_fewer(training: FusedTraining, drivers: Sequence[Driver]) -> bool:
    """Return whether a training of the networks that have not ended would be faster.

    It has to be set up, and one in which fewer share their minibatches could be slower.
    """
    left = [training.members[m] for m, driver in enumerate(drivers) if not driver.has_ended]
    shared = sharing(left)
    as_shared = shared > 1 or training.n_shared == 1 or 2 * len(left) <= len(drivers)
    return 0 < len(left) <= _LEFT * len(drivers) and as_shared


def _of_the_others(
    drivers: Sequence[Driver], batch_size: int
) -> tuple[FusedTraining, list[Driver]]:
    """Return a training of the networks that have not ended, as they are now, and their drivers."""
    left = [driver for driver in drivers if not driver.has_ended]
    runs = [driver.run for driver in left]
    training = FusedTraining(members(runs), batch_size)
    for m, driver in enumerate(left):
        training.optimizer.load(m, driver.optimizer.state_dict()["state"])
    _tie(training, runs)
    for m, driver in enumerate(left):
        training.optimizer.share_state(m, driver.optimizer)
        driver.run.epoch_log.share = 1 / len(left)
    return training, left


def _untie(network: nn.Module) -> None:
    """Give a network whose training has ended its own copy of its weights."""
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()


def _epoch(training: FusedTraining, drivers: Sequence[Driver]) -> bool:
    """Train for an epoch, and return whether all runs have saved a checkpoint at its end."""
    alive = [m for m, driver in enumerate(drivers) if not driver.has_ended]
    for m in alive:
        drivers[m].start_epoch()
    if any(driver.is_scheduled for driver in drivers):
        rates = [torch.tensor(driver.rates(), dtype=torch.float64) for driver in drivers]
        training.optimizer.use_rates(torch.nn.utils.rnn.pad_sequence(rates).to(training.dtype))
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
    first = drivers[0].run.checkpoints
    values = [driver.run.checkpoints.best_value for driver in drivers]
    found = [first.sign * value for value in values if value is not None]
    best = f"{first.sign * max(found):.4f}" if found else "none"
    n_training = sum(not driver.has_ended for driver in drivers)
    diverged = sum(driver.run.epoch_log.diverged_at is not None for driver in drivers)
    together = f"{n_training or len(drivers)} models at once  " if len(drivers) > 1 else ""
    told = f"{together}best {first.monitor} {best}"
    return f"{told}  {diverged} diverged" if diverged else told
