"""Runs that are trained together, each with the files of a run of its own."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import torch

from fer_lightning.fused.driver import Driver
from fer_lightning.fused.engine import Means
from fer_lightning.fused.membership import members
from fer_lightning.fused.scoring import score_together
from fer_lightning.fused.training_group import TrainingGroup
from fer_lightning.processes import signals_wait, stop_if_waiting
from fer_lightning.training import EpochBar, Run


def train_together(*groups: Sequence[Run]) -> list[Driver]:
    """Train networks of one shape as one, until each has had its epochs or is stopped.

    Several such groups are trained side by side, each by one core at a time.

    Args:
        groups: Runs that have begun; those of a group have one batch size and number of epochs, and
            those that share their minibatches are adjacent. Those that go on from a checkpoint have
            all done equally many epochs, except those that have diverged before. Several groups are
            on the CPU.

    Returns:
        The drivers of the runs, at the end of their training.
    """
    n_threads = torch.get_num_threads()
    try:
        if len(groups) > 1:
            torch.set_num_threads(1)
        made = [TrainingGroup(runs) for runs in groups]
        for driver in (driver for group in made for driver in group.drivers):
            driver.run.epoch_log.threads = n_threads  # if the group goes on by itself
        _train(made, n_threads)
    finally:
        torch.set_num_threads(n_threads)
    for runs in groups:
        if len(runs) > 1:
            score_together(runs, members(runs))
    return [driver for group in made for driver in group.drivers]


def _train(groups: Sequence[TrainingGroup], n_threads: int) -> None:
    drivers = [driver for group in groups for driver in group.drivers]
    shown = drivers[0].run.config.trainer.enable_progress_bar
    bar = EpochBar(max(driver.max_epochs for driver in drivers), shown)
    try:
        with signals_wait(), ThreadPoolExecutor(n_threads) as pool:
            while not all(group.has_ended for group in groups):
                began = time.perf_counter()
                going = [group for group in groups if not group.has_ended]
                if _epoch(going, pool):
                    stop_if_waiting()
                left = bar.epochs - max(driver.epoch for driver in drivers)
                for group in going:
                    told = group.compilation.consider(left * (time.perf_counter() - began))
                    if told:
                        bar.console.print(told, highlight=False, soft_wrap=True)
                if bar.is_due and left:
                    bar.draw(bar.epochs - left, _figures(drivers))
        bar.draw(max(driver.epoch for driver in drivers), _figures(drivers))
    finally:
        bar.stop()


def _epoch(groups: Sequence[TrainingGroup], pool: ThreadPoolExecutor) -> bool:
    """Train for an epoch, and return whether all runs have saved a checkpoint at its end."""
    for group in groups:
        group.leave_out_the_ended()
    n_trained = sum(len(group.riding) for group in groups)
    with ExitStack() as cores:
        for group in groups:
            cores.enter_context(group.training.side_by_side())  # also what is done between epochs
            group.start_epoch(share=1 / n_trained)
        means: list[tuple[Means, Means]]
        if len(groups) == 1:
            means = [groups[0].train_epoch()]
        else:
            means = list(pool.map(TrainingGroup.train_epoch, groups))
        due = groups[0].checkpoint_is_due
        for group, (train, val) in zip(groups, means, strict=True):
            group.end_epoch(train, val, due)
    return due


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
