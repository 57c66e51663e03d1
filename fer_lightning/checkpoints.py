"""`best.ckpt` and `last.ckpt` of a run."""

import logging
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from fer_lightning.atomic import whole_file

log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Keeps the best network by validation accuracy, and the last one with all it takes to go on.

    Files in every epoch would slow the short epochs of a small network down. The best weights are
    therefore kept in memory, and both files are written every few seconds, at the end and on
    Ctrl-C. `best.ckpt` holds weights and hyper-parameters; `last.ckpt` the optimiser and the
    position in the run as well.

    Args:
        folder: Where the files go.
        every_seconds: The least time between two writings, in seconds.

    Attributes:
        best_acc: The highest validation accuracy so far; 0 before the first.
        best_epoch: The first epoch, from 1, that reached it, or None before the first.
    """

    def __init__(self, folder: Path, every_seconds: float = 10.0) -> None:
        self.folder = folder
        self.every_seconds = every_seconds
        self.best_acc = 0.0
        self.best_epoch: int | None = None
        self._best: dict[str, Any] = {}
        self._written = time.monotonic()
        self._best_is_written = True

    @property
    def best_path(self) -> Path:
        """The file with the best weights."""
        return self.folder / "best.ckpt"

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
        if time.monotonic() - self._written >= self.every_seconds:
            self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        if isinstance(exception, KeyboardInterrupt) and self.best_epoch is not None:
            self._write(trainer)
            log.warning("interrupted; the networks so far are in %s", self.folder)

    def _snapshot(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """What `load_from_checkpoint` needs, with weights of its own."""
        checkpoint = {
            "epoch": trainer.current_epoch,
            "global_step": trainer.global_step,
            "pytorch-lightning_version": L.__version__,
            "state_dict": {name: w.clone() for name, w in pl_module.state_dict().items()},
            pl_module.CHECKPOINT_HYPER_PARAMS_KEY: dict(pl_module.hparams),
        }
        pl_module.on_save_checkpoint(checkpoint)
        return checkpoint

    def _write(self, trainer: L.Trainer) -> None:
        with whole_file(self.folder / "last.ckpt") as path:
            trainer.save_checkpoint(path)
        if not self._best_is_written:
            with whole_file(self.best_path) as path:
                torch.save(self._best, path)
            self._best_is_written = True
        self._written = time.monotonic()
