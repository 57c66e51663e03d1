"""What a run leaves behind, as callbacks of Lightning's Trainer, and those of this engine alone.

All are `Checkpoint`s, because Lightning calls those after the network has logged its epoch, and all
other callbacks before.
"""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging
from torch import Tensor

from fer_lightning.data import FaceDataModule
from fer_lightning.processes import is_waiting, stop_if_waiting, take_signals_back
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.callbacks.checkpoints import Checkpoints
from fer_lightning.training.callbacks.progress import EpochBar
from fer_lightning.training.callbacks.watcher import Watcher

OF_AVERAGING = ("current_model_state", "averaging_state")


class LightningTraining:
    """A training by Lightning's Trainer, as its watchers see it: see `Training`.

    Args:
        trainer: It.
        model: What it trains.
    """

    def __init__(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        assert isinstance(model, ExpressionClassifier)
        self.trainer, self.model = trainer, model

    @property
    def should_stop(self) -> bool:
        return self.trainer.should_stop

    @should_stop.setter
    def should_stop(self, should_stop: bool) -> None:
        self.trainer.should_stop = should_stop

    @property
    def current_epoch(self) -> int:
        return self.trainer.current_epoch

    @property
    def max_epochs(self) -> int | None:
        return self.trainer.max_epochs

    @property
    def callback_metrics(self) -> dict[str, Tensor]:
        return self.trainer.callback_metrics

    @property
    def datamodule(self) -> FaceDataModule:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(datamodule, FaceDataModule)
        return datamodule

    def snapshot(self) -> dict[str, Any]:
        checkpoint = self.model.snapshot(self.trainer.current_epoch, self.trainer.global_step)
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):  # whose weights were validated
                callback.on_save_checkpoint(self.trainer, self.model, checkpoint)
                weights = checkpoint["state_dict"].items()
                checkpoint["state_dict"] = {name: w.clone() for name, w in weights}
        return {name: part for name, part in checkpoint.items() if name not in OF_AVERAGING}

    def save_checkpoint(self, path: Path) -> None:
        self.trainer.save_checkpoint(path)


class Watching(Checkpoint):
    """Lets Lightning call a watcher.

    Args:
        watcher: It, under whose name a checkpoint keeps its state.
    """

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher

    @property
    def state_key(self) -> str:
        return type(self.watcher).__qualname__

    def state_dict(self) -> dict[str, Any]:
        return self.watcher.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.watcher.load_state_dict(state_dict)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.watcher.setup()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.watcher.on_train_start(LightningTraining(trainer, pl_module))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.watcher.on_train_epoch_start(LightningTraining(trainer, pl_module))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.watcher.on_validation_end(LightningTraining(trainer, pl_module))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.watcher.on_train_epoch_end(LightningTraining(trainer, pl_module))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.watcher.on_train_end(LightningTraining(trainer, pl_module))


class SavingWithin(Watching):
    """Saves the checkpoints of a run, also on the way through an epoch.

    Args:
        checkpoints: They.
    """

    watcher: Checkpoints

    def __init__(self, checkpoints: Checkpoints) -> None:
        super().__init__(checkpoints)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Write the checkpoints in a long epoch or when a signal waits, if there is one process."""
        is_due = is_waiting() or self.watcher.is_late(2 * self.watcher.every_seconds)
        if is_due and trainer.world_size == 1 and is_between_steps(trainer):
            self.watcher.write(LightningTraining(trainer, pl_module))

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Set Lightning's counters so that the run goes on from the end of an epoch.

        That is the current epoch if it is over, else the one before: the minibatches of the
        current epoch that are done are then skipped.
        """
        loop = checkpoint["loops"]["fit_loop"]
        current = loop["epoch_progress"]["current"]
        is_within = current["processed"] < current["ready"]
        if not is_within and current["completed"] < current["processed"]:
            # a schedule that waits for a metric hears of this epoch's after this
            for config in trainer.lr_scheduler_configs:
                if config.reduce_on_plateau and config.monitor in trainer.callback_metrics:
                    checkpoint["plateau"] = trainer.callback_metrics[config.monitor].clone()
        for counts in (loop["epoch_progress"]["total"], current):
            counts.update(dict.fromkeys(counts, counts["processed"]))
        if is_within:
            assert isinstance(pl_module, ExpressionClassifier)
            checkpoint["epoch_so_far"] = pl_module.epoch_so_far()
            steps = loop["epoch_loop.batch_progress"]
            # all of which are counted again when the minibatches that are done are passed over,
            # except that these are not started
            loop["epoch_loop.state_dict"]["_batches_that_stepped"] -= steps["current"]["completed"]
            for counts in (steps, loop["epoch_loop.scheduler_progress"]):
                for name, n in counts["current"].items():
                    counts["total"][name] -= n if name != "started" else 0


class StopOnSignal(Checkpoint):
    """Ends a training after a signal, once its state is saved.

    It is the last of the callbacks, so that the others have written their files.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        take_signals_back()  # Lightning's own handler would end the epoch in its middle

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.world_size == 1 and is_between_steps(trainer):
            stop_if_waiting()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        stop_if_waiting()


def is_between_steps(trainer: L.Trainer) -> bool:
    """Return whether no gradients wait for those of further minibatches."""
    return not trainer.fit_loop.epoch_loop._should_accumulate()


class EpochProgress(Checkpoint):
    """Shows the epochs of a run with cross-entropy and accuracy."""

    def __init__(self) -> None:
        self._bar: EpochBar | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._bar = EpochBar(trainer.max_epochs or 0)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        if self._bar and self._bar.is_due and self._bar.console.is_terminal:
            part = (batch_idx + 1) / trainer.num_training_batches
            self._bar.draw(trainer.current_epoch + part, _figures(trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._bar and self._bar.is_due:
            self._bar.draw(trainer.current_epoch + 1, _figures(trainer))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._bar:
            self._bar.draw(trainer.current_epoch, _figures(trainer))
            self._bar.stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        if self._bar:
            self._bar.stop()


def _figures(trainer: L.Trainer) -> str:
    metrics = trainer.callback_metrics
    shown = (
        f"{split} ce {metrics[f'{split}/ce'].item():.3f} acc {metrics[f'{split}/acc'].item():.1%}"
        for split in ("train", "val")
        if f"{split}/ce" in metrics
    )
    return "  ".join(shown)
