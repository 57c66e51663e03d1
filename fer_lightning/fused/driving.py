"""A Lightning Trainer and its callbacks, led through a training that happens elsewhere."""

from typing import Any

import lightning as L
from lightning.pytorch.loops.progress import _Progress
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from fer_lightning.resumable_checkpoints import Stored
from fer_lightning.training import Run


class Driver:
    """One of several runs that are trained together: its Trainer, as if it trained the network.

    Callbacks are called as Lightning's loop calls them, and find the Trainer with its network,
    faces, metrics and position: what they write is what a run of its own leaves.

    Args:
        run: That has begun, with its network on the device of the training.
        optimizer: Of the network, with a state that follows the training.
    """

    def __init__(self, run: Run, optimizer: Optimizer) -> None:
        self.run, self.trainer = run, run.trainer
        trainer = run.trainer
        trainer.strategy.connect(run.model)
        trainer.strategy.optimizers = [optimizer]
        run.model.trainer = trainer
        trainer.datamodule = run.datamodule  # type: ignore[attr-defined]
        trainer.callbacks.append(_TensorsOfTheirOwn())  # type: ignore[attr-defined]
        self._steps = len(run.datamodule.train_dataloader())
        self._updates = -(-len(run.datamodule.splits.train) // run.datamodule.batch_size)
        self._validations = len(run.datamodule.val_dataloader())

    @property
    def epoch(self) -> int:
        """How many epochs are over."""
        return self.trainer.current_epoch

    @property
    def has_ended(self) -> bool:
        """Whether the network has diverged, or its last epoch is over."""
        return self.trainer.should_stop or self.epoch == self.trainer.max_epochs

    def start(self) -> None:
        """Begin the training."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            callback.setup(self.trainer, self.run.model, "fit")
        if self.run.stored:
            self._restore(self.run.stored)
        self._call("on_train_start")

    def start_epoch(self) -> None:
        """Begin an epoch."""
        self._call("on_train_epoch_start")

    def end_epoch(self, metrics: dict[str, Tensor]) -> None:
        """End an epoch with its metrics, such as `val/ce`."""
        self.trainer.callback_metrics.update(metrics)
        self._stand_at(self.epoch + 1)
        self._call("on_validation_end")
        self._call("on_train_epoch_end")
        self.trainer.fit_loop.epoch_progress.increment_completed()
        if self.has_ended:
            self._call("on_train_end")

    def _restore(self, stored: Stored) -> None:
        """Stand where a checkpoint was written; the training itself has its state already."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if callback.state_key in stored.content["callbacks"]:
                callback.load_state_dict(stored.of_callback(callback.state_key))
        self._stand_at(stored.epoch)
        self.trainer.fit_loop.epoch_progress.increment_completed()

    def _call(self, hook: str) -> None:
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            getattr(callback, hook)(self.trainer, self.run.model)

    def _stand_at(self, epochs: int) -> None:
        """Set Lightning's counters to the end of an epoch, before its completion is counted."""
        loop = self.trainer.fit_loop
        steps = loop.epoch_loop.batch_progress
        validations = loop.epoch_loop.val_loop.batch_progress
        updates = loop.epoch_loop.manual_optimization.optim_step_progress
        _set(loop.epoch_progress, epochs, epochs)
        loop.epoch_progress.total.completed -= 1
        loop.epoch_progress.current.completed -= 1
        _set(steps, epochs * self._steps, self._steps)
        _set(validations, self._validations, self._validations)
        _set(updates, epochs * self._updates, epochs * self._updates)
        steps.is_last_batch = validations.is_last_batch = True
        loop.epoch_loop._batches_that_stepped = epochs * self._steps


class _TensorsOfTheirOwn(L.Callback):
    """Copies the tensors of a checkpoint, which would take the whole of a larger one along."""

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        for part in ("state_dict", "optimizer_states"):
            checkpoint[part] = tree_map_only(Tensor, Tensor.clone, checkpoint[part])


def _set(progress: _Progress, total: int, current: int) -> None:
    for tracker, n in ((progress.total, total), (progress.current, current)):
        for name in vars(tracker):
            setattr(tracker, name, n)
