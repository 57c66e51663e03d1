"""The curves of a run: a row of `metrics.csv` and a point of each TensorBoard scalar per epoch."""

import csv
import math
import time
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from torch.utils.tensorboard import SummaryWriter

CURVES = ("train/ce", "train/acc", "val/ce", "val/acc")
COLUMNS = ("epoch", *(tag.replace("/", "_") for tag in CURVES), "seconds")


class EpochLog(Checkpoint):
    """Writes the curves, and ends a run whose loss is no longer finite.

    It is a `Checkpoint` because Lightning calls those after the network has logged its epoch, and
    all other callbacks before.

    Args:
        folder: Folder of the run, where `metrics.csv` and the TensorBoard events are written.

    Attributes:
        diverged_at: The epoch, from 1, in which the training loss was not finite, or None.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.diverged_at: int | None = None
        self._validated = False
        self._started = 0.0
        self._board: SummaryWriter | None = None

    @property
    def board(self) -> SummaryWriter:
        """The writer of TensorBoard events; the file begins when it is first asked for."""
        if self._board is None:
            self._board = SummaryWriter(str(self.folder))
        return self._board

    @property
    def path(self) -> Path:
        """The file with a row per epoch."""
        return self.folder / "metrics.csv"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerow(COLUMNS)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()
        self._validated = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        tags = CURVES if self._validated else CURVES[:2]
        values = {tag: trainer.callback_metrics[tag].item() for tag in tags}
        seconds = time.perf_counter() - self._started
        cells = [f"{values[tag]:.9g}" if tag in values else "" for tag in CURVES]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([epoch, *cells, f"{seconds:.4f}"])
        for tag, value in values.items():
            if math.isfinite(value):  # TensorBoard's tables cannot sort by a column with others
                self.board.add_scalar(tag, value, epoch)
        if not math.isfinite(values["train/ce"]):
            self.diverged_at = epoch
            trainer.should_stop = True
