"""Runs that are trained together, each with the files of a run of its own."""

import time
from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import _configure_schedulers_automatic_opt
from lightning.pytorch.loops.progress import _Progress
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from fer_lightning.data import SPLITS, FaceSplits
from fer_lightning.fused.compiling import Compilation
from fer_lightning.fused.engine import FusedTraining, Means, Member
from fer_lightning.networks import CNN, MLP
from fer_lightning.processes import signals_wait, stop_if_waiting
from fer_lightning.runs import Stored, as_now
from fer_lightning.training import EpochBar, Run, configured, log_epoch


class Driver:
    """Drives one of the runs that are trained together, as if its own Trainer trained it.

    Callbacks are called as Lightning's loop calls them, and find the Trainer with its network,
    faces, metrics and position: what they write is what a run of its own leaves.

    Args:
        run: A run that has begun, with its network on the device of the training.
        optimizer: The optimiser of the network, with a state that follows the training.
    """

    def __init__(self, run: Run, optimizer: Optimizer) -> None:
        self.run, self.trainer = run, run.trainer
        trainer = run.trainer
        trainer.strategy.connect(run.model)
        trainer.strategy.optimizers = [optimizer]
        optimizer._opt_called = True  # type: ignore[attr-defined]  # what schedulers look for
        run.model.trainer = trainer
        trainer.datamodule = run.datamodule  # type: ignore[attr-defined]
        trainer.callbacks.append(_TensorsOfTheirOwn())  # type: ignore[attr-defined]
        self._steps = len(run.datamodule.train_dataloader())
        self._validations = len(run.datamodule.val_dataloader())
        self._scheduler: LRSchedulerConfig | None = None
        schedule = run.model.schedule
        if schedule is not None:
            n_steps = self._steps * (trainer.max_epochs or 0)
            told = configured(schedule, optimizer, self._steps, n_steps)
            (self._scheduler,) = _configure_schedulers_automatic_opt([told], None)
            trainer.strategy.lr_scheduler_configs = [self._scheduler]

    @property
    def epoch(self) -> int:
        """Return the number of epochs that are over."""
        return self.trainer.current_epoch

    @property
    def has_ended(self) -> bool:
        """Return whether the network has diverged, or its last epoch is over."""
        return self.trainer.should_stop or self.epoch == self.trainer.max_epochs

    def start(self) -> None:
        """Begin the training, from the run's checkpoint if it has one."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            callback.setup(self.trainer, self.run.model, "fit")
        if self.run.stored:
            self._restore(self.run.stored)
        self._call("on_train_start")

    def start_epoch(self) -> None:
        """Begin an epoch."""
        self._call("on_train_epoch_start")

    @property
    def is_scheduled(self) -> bool:
        """Return whether the learning rate changes."""
        return self._scheduler is not None

    def rates(self) -> list[float]:
        """Return the learning rates of the steps of the epoch that begins, and go on in them."""
        (group,) = self.trainer.optimizers[0].param_groups
        if self._scheduler is None or self._scheduler.interval == "epoch" or self.has_ended:
            return [group["lr"]] * self._steps
        rates = []
        for _ in range(self._steps):
            rates.append(group["lr"])
            self._scheduler.scheduler.step()  # type: ignore[call-arg]
        return rates

    def end_epoch(self, metrics: dict[str, Tensor]) -> None:
        """End an epoch with its metrics, such as `val/ce`."""
        epoch = self.epoch
        self._stand_at(epoch + 1)
        log_epoch(self.trainer, metrics, epoch)
        self._call("on_validation_end")
        self._call("on_train_epoch_end")
        if self._scheduler is not None and self._scheduler.reduce_on_plateau:
            self._scheduler.scheduler.step(metrics[str(self._scheduler.monitor)])  # type: ignore[arg-type]
            _set(self.trainer.fit_loop.epoch_loop.scheduler_progress, epoch + 1, 1)
        self.trainer.fit_loop.epoch_progress.increment_completed()
        if self.has_ended:
            self._call("on_train_end")

    def _restore(self, stored: Stored) -> None:
        """Restore callbacks and counters from a checkpoint; the training has its state already."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if callback.state_key in stored.content["callbacks"]:
                callback.load_state_dict(stored.of_callback(callback.state_key))
        self._stand_at(stored.epoch)
        self.trainer.fit_loop.epoch_progress.increment_completed()
        if self._scheduler is not None:
            scheduler, (state,) = self._scheduler.scheduler, stored.content["lr_schedulers"]
            scheduler.load_state_dict(state)
            groups = self.trainer.optimizers[0].param_groups
            for group, lr in zip(groups, state["_last_lr"], strict=True):
                group["lr"] = lr
            if "plateau" in stored.content:  # what it had not heard of yet
                scheduler.step(stored.content["plateau"])

    def _call(self, hook: str) -> None:
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            getattr(callback, hook)(self.trainer, self.run.model)

    def _stand_at(self, epochs: int) -> None:
        """Set Lightning's counters to the end of an epoch, before its completion is counted."""
        loop = self.trainer.fit_loop
        steps = loop.epoch_loop.batch_progress
        validations = loop.epoch_loop.val_loop.batch_progress
        updates = loop.epoch_loop.automatic_optimization.optim_progress.optimizer
        _set(loop.epoch_progress, epochs, epochs)
        loop.epoch_progress.total.completed -= 1
        loop.epoch_progress.current.completed -= 1
        _set(steps, epochs * self._steps, self._steps)
        _set(validations, self._validations, self._validations)
        for progress in (updates.step, updates.zero_grad):
            _set(progress, epochs * self._steps, self._steps)
        if self._scheduler is not None:
            n = 1 if self._scheduler.interval == "epoch" else self._steps
            late = self._scheduler.reduce_on_plateau  # which hears of the epoch after this
            _set(loop.epoch_loop.scheduler_progress, (epochs - late) * n, n - late)
        steps.is_last_batch = validations.is_last_batch = True
        loop.epoch_loop._batches_that_stepped = epochs * self._steps


class _TensorsOfTheirOwn(L.Callback):
    """Copies the tensors of a checkpoint: a view would be saved with the tensor of all models."""

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        for part in ("state_dict", "optimizer_states"):
            checkpoint[part] = tree_map_only(Tensor, Tensor.clone, checkpoint[part])


def _set(progress: _Progress, total: int, current: int) -> None:
    for tracker, n in ((progress.total, total), (progress.current, current)):
        for name in vars(tracker):
            setattr(tracker, name, n)


COMPILE = {"auto": None, True: True, False: False}
PRECISIONS = {"32-true": torch.float32, "64-true": torch.float64}


def train_together(runs: Sequence[Run]) -> list[Driver]:
    """Train networks of one shape as one, until each has had its epochs or has diverged.

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
        driver.run.epoch_log.share = 1 / len(runs)
        if len(runs) > 1:  # pictures of many runs would take longer than their training
            driver.run.image_log.times = 1
        driver.start()
    compilation = Compilation(training, COMPILE[runs[0].config.compile])
    bar = EpochBar(runs[0].trainer.max_epochs or 0, runs[0].config.trainer.enable_progress_bar)
    try:
        with signals_wait():
            while not all(driver.has_ended for driver in drivers):
                began = time.perf_counter()
                if _epoch(training, drivers):
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
    return drivers


def members(runs: Sequence[Run]) -> list[Member]:
    """Return the runs as members of a training, with networks and faces on its device."""
    splits: dict[int, FaceSplits] = {}
    made = []
    for run in runs:
        run.datamodule.trainer = run.trainer
        faces = [run.datamodule.resident(split) for split in SPLITS]
        shared = splits.setdefault(id(faces[0]), FaceSplits(*faces))
        dtype = PRECISIONS[run.trainer.precision]
        model = run.model.to(run.trainer.strategy.root_device, dtype)
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
