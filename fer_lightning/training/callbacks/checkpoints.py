"""`best.ckpt` and `last.ckpt` of a run, and its end after a signal, once they are written."""

import io
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from fer_lightning.files import new_generation, one_before, whole_file
from fer_lightning.processes import is_waiting, stop_if_waiting, take_signals_back
from fer_lightning.runs import LAST
from fer_lightning.training.classifier import ExpressionClassifier


class Checkpoints(Checkpoint):
    """Saves the best network by validation accuracy, and the last with all that resuming needs.

    Files in every epoch would slow the short epochs of a small network down. The best weights are
    therefore kept in memory, and both files are written at the end of an epoch every few seconds,
    when a signal asks the run to end, and at the end. An epoch of one process in Lightning's loop
    is also saved on its way, if it lasts twice as long. `best.ckpt` holds weights and
    hyper-parameters; `last.ckpt` the optimiser, the position in the run and the best weights as
    well. The one before it stays as `last-1.ckpt`, should the newer be damaged.

    Args:
        folder: Where the files go.
        every_seconds: The least time between two writings, in seconds.

    Attributes:
        best_acc: The highest validation accuracy so far; 0 before the first.
        best_epoch: The first epoch, from 1, that reached it, or None before the first.
        wanted: Whether to write at the end of this epoch, where several runs that are trained
            together decide as one; None lets the time decide.
    """

    def __init__(self, folder: Path, every_seconds: float = 10.0) -> None:
        self.folder = folder
        self.every_seconds = every_seconds
        self.best_acc = 0.0
        self.best_epoch: int | None = None
        self.wanted: bool | None = None
        self._best: dict[str, Any] = {}
        self._written = time.monotonic()
        self._best_is_written = True

    @property
    def best_path(self) -> Path:
        """Return the path of the file with the best weights."""
        return self.folder / "best.ckpt"

    @property
    def is_due(self) -> bool:
        """Return whether it is time to write the checkpoints."""
        return self._is_late(self.every_seconds) or is_waiting()

    def _is_late(self, seconds: float) -> bool:
        return time.monotonic() - self._written >= seconds

    def state_dict(self) -> dict[str, Any]:
        return {"best_acc": self.best_acc, "best_epoch": self.best_epoch, "best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state saved in a checkpoint, and `best.ckpt` as it was at that epoch."""
        self.best_acc, self.best_epoch = state_dict["best_acc"], state_dict["best_epoch"]
        self._best = state_dict["best"]
        self._best_is_written = False
        self._write_best()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        acc = trainer.callback_metrics["val/acc"].item()
        finite = bool(trainer.callback_metrics["val/ce"].isfinite())
        if finite and (self.best_epoch is None or acc > self.best_acc):
            self.best_acc = acc
            self.best_epoch = trainer.current_epoch + 1
            self._best = self._snapshot(trainer, pl_module)
            self._best_is_written = False

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not is_last and (self.is_due if self.wanted is None else self.wanted):
            self._write(trainer)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Write the checkpoints in a long epoch or when a signal waits, if there is one process."""
        is_due = is_waiting() or self._is_late(2 * self.every_seconds)
        if is_due and trainer.world_size == 1:
            self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer)

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
        for counts in (loop["epoch_progress"]["total"], current):
            counts.update(dict.fromkeys(counts, counts["processed"]))
        if is_within:
            assert isinstance(pl_module, ExpressionClassifier)
            checkpoint["epoch_so_far"] = pl_module.epoch_so_far()
            steps = loop["epoch_loop.batch_progress"]
            # all of which are counted again when the minibatches that are done are passed over,
            # except that these are not started
            loop["epoch_loop.state_dict"]["_batches_that_stepped"] -= steps["current"]["completed"]
            for name, n in steps["current"].items():
                steps["total"][name] -= n if name != "started" else 0

    def drop_the_one_before(self) -> None:
        """Delete the checkpoint before the last one, as the run is done."""
        one_before(self.folder / LAST).unlink(missing_ok=True)

    def _snapshot(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return a checkpoint for `load_from_checkpoint`, with copies of the weights."""
        checkpoint = {
            "epoch": trainer.current_epoch,
            "global_step": trainer.global_step,
            "pytorch-lightning_version": L.__version__,
            "state_dict": {name: w.clone() for name, w in pl_module.state_dict().items()},
        }
        pl_module.on_save_checkpoint(checkpoint)
        return checkpoint

    def _write(self, trainer: L.Trainer) -> None:
        with new_generation(self.folder / LAST) as path:
            trainer.save_checkpoint(path)
        self._write_best()
        self._written = time.monotonic()

    def _write_best(self) -> None:
        if self._best_is_written:
            return
        if self._best:
            content = io.BytesIO()  # PyTorch does not say why it cannot write to a file
            torch.save(self._best, content)
            with whole_file(self.best_path) as path:
                path.write_bytes(content.getbuffer())
        else:
            self.best_path.unlink(missing_ok=True)
        self._best_is_written = True


class StopOnSignal(Checkpoint):
    """Ends a training after a signal, once its state is saved.

    It is a `Checkpoint`, and the last of them, so that the others have written their files.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        take_signals_back()  # Lightning's own handler would end the epoch in its middle

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.world_size == 1:
            stop_if_waiting()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        stop_if_waiting()
