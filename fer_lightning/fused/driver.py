"""One of the runs that are trained together, with its Trainer and its files."""

from typing import Any

import lightning as L
from lightning.pytorch.core.optimizer import _configure_schedulers_automatic_opt
from lightning.pytorch.loops.progress import _Progress
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from fer_lightning.runs import Stored
from fer_lightning.training import Run, configured, log_epoch


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
