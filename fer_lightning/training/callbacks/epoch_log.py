"""The curves of a run: a row of `metrics.csv` per epoch."""

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fer_lightning.processes import leads
from fer_lightning.runs import COLUMNS, CURVES, growing_files
from fer_lightning.training.callbacks.watcher import Training, Watcher


class EpochLog(Watcher):
    """Writes the curves, and ends a run whose loss is no longer finite.

    Args:
        folder: Folder of the run, where `metrics.csv` is written.
        flush: Writes what other files of the run have not got yet.

    Attributes:
        share: The run's share of the time of an epoch, where several are trained together.
        together: Whether it is or was trained together with others.
        threads: Number of CPU threads for those that are trained with it.
        diverged_at: The epoch, from 1, in which the training loss was not finite, or None.
        seconds_before: Seconds of the epochs done before the run went on from a checkpoint.
    """

    def __init__(self, folder: Path, flush: Callable[[], None]) -> None:
        self.folder, self.flush = folder, flush
        self.share = 1.0
        self.together = False
        self.threads = torch.get_num_threads()
        self.diverged_at: int | None = None
        self.seconds_before = 0.0
        self._files = growing_files(folder)
        self._validated = False
        self._started: float | None = None
        self._seconds_so_far = 0.0  # of an epoch that goes on

    @property
    def path(self) -> Path:
        """Return the path of the file with a row per epoch."""
        return self.folder / "metrics.csv"

    def state_dict(self) -> dict[str, Any]:
        self.flush()
        so_far = 0.0 if self._started is None else time.perf_counter() - self._started
        return {
            "diverged_at": self.diverged_at,
            "share": self.share,
            "together": self.together,
            "threads": self.threads,
            "seconds_so_far": so_far,
            "files": self._files.sizes(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state saved in a checkpoint, and cut later epochs off the files."""
        self.diverged_at = state_dict["diverged_at"]
        self.together = state_dict.get("together", state_dict.get("share", 1) < 1)  # of older runs
        if not leads():  # whose files these are
            return
        self._files.cut(state_dict["files"])
        self._seconds_so_far = state_dict["seconds_so_far"]
        if not self.path.exists():  # Lightning tries learning rates out before a training
            return
        with self.path.open(newline="") as file:
            self.seconds_before = sum(float(row["seconds"]) for row in csv.DictReader(file))

    def on_train_start(self, training: Training) -> None:
        self.threads = torch.get_num_threads()
        if training.current_epoch == 0:
            with self.path.open("w", newline="") as file:
                csv.writer(file).writerow(COLUMNS)
        if self.diverged_at is not None:
            training.should_stop = True

    def on_train_epoch_start(self, training: Training) -> None:
        self._started = time.perf_counter() - self._seconds_so_far
        self._seconds_so_far = 0.0
        self._validated = False

    def on_validation_end(self, training: Training) -> None:
        self._validated = True

    def on_train_epoch_end(self, training: Training) -> None:
        assert self._started is not None
        epoch = training.current_epoch + 1
        tags = CURVES if self._validated else CURVES[:2]
        values = {tag: training.callback_metrics[tag].item() for tag in tags}
        seconds = self.share * (time.perf_counter() - self._started)
        self._started = None
        cells = [f"{values[tag]:.9g}" if tag in values else "" for tag in CURVES]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([epoch, *cells, f"{seconds:.4f}"])
        if not math.isfinite(values["train/ce"]):
            self.diverged_at = epoch
            training.should_stop = True
