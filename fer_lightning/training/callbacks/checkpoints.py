"""`best.ckpt` and `last.ckpt` of a run."""

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fer_lightning.errors import require
from fer_lightning.files import new_generation, one_before, whole_file
from fer_lightning.processes import is_waiting
from fer_lightning.runs import LAST, write_checkpoint
from fer_lightning.training.callbacks.watcher import Training, Watcher


class Kept(NamedTuple):
    """A network that is kept: its value of the metric, its epoch from 1, and its checkpoint."""

    value: float
    epoch: int
    content: dict[str, Any]


class Checkpoints(Watcher):
    """Saves the best networks by some metric, and the last with all that resuming needs.

    Files in every epoch would slow the short epochs of a small network down. The best weights are
    therefore kept in memory, and both files are written at the end of an epoch every few seconds,
    when a signal asks the run to end, and at the end. An epoch of one process in Lightning's loop
    is also saved on its way, if it lasts twice as long. `best.ckpt` holds weights and hyper-
    parameters, as do `best-2.ckpt` and so on for the next best; `last.ckpt` the optimiser, the
    position in the run and the best weights as well. The one before it stays as `last-1.ckpt`,
    should the newer be damaged.

    Args:
        folder: Where the files go.
        every_seconds: The least time between two writings, in seconds.
        monitor: The metric by which a network is better than another, of those that are logged.
        mode: `max` or `min`: what is better.
        save_top_k: How many of the best are kept.

    Attributes:
        wanted: Whether to write at the end of this epoch, where several runs that are trained
            together decide as one; None lets the time decide.
    """

    def __init__(
        self,
        folder: Path,
        every_seconds: float = 10.0,
        monitor: str = "val/acc",
        mode: str = "max",
        save_top_k: int = 1,
    ) -> None:
        self.folder = folder
        self.every_seconds = every_seconds
        self.monitor, self.sign, self.save_top_k = monitor, 1 if mode == "max" else -1, save_top_k
        self.wanted: bool | None = None
        self._best: list[Kept] = []  # the best first
        self._written = time.monotonic()
        self._best_is_written = True

    @property
    def best_path(self) -> Path:
        """Return the path of the file with the best weights."""
        return self.folder / "best.ckpt"

    @property
    def best_epoch(self) -> int | None:
        """Return the first epoch, from 1, with the best value, or None before there is one."""
        return self._best[0].epoch if self._best else None

    @property
    def best_weights(self) -> dict[str, Tensor]:
        """Return the weights of the best network, under their names in the model."""
        weights: dict[str, Tensor] = self._best[0].content["state_dict"]
        return weights

    @property
    def best_value(self) -> float | None:
        """Return the best value of the metric so far, or None before there is one."""
        return self._best[0].value if self._best else None

    @property
    def is_due(self) -> bool:
        """Return whether it is time to write the checkpoints."""
        return self.is_late(self.every_seconds) or is_waiting()

    def is_late(self, seconds: float) -> bool:
        """Return whether the last writing is so long ago."""
        return time.monotonic() - self._written >= seconds

    def state_dict(self) -> dict[str, Any]:
        return {"best": [kept._asdict() for kept in self._best]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state saved in a checkpoint, and `best.ckpt` as it was at that epoch."""
        best = state_dict["best"]
        if isinstance(best, dict):  # of version 0.1, which kept one
            value, epoch = state_dict["best_acc"], state_dict["best_epoch"]
            best = [{"value": value, "epoch": epoch, "content": best}] if best else []
        self._best = [Kept(**kept) for kept in best]
        self._best_is_written = False
        self._write_best()

    def setup(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_validation_end(self, training: Training) -> None:
        if self.monitor.startswith("train/"):  # which is logged at the end of the epoch
            return
        self._consider(training)

    def _consider(self, training: Training) -> None:
        """Keep the network if it is one of the best so far."""
        metrics = training.callback_metrics
        require(self.monitor in metrics, "checkpoint.monitor", _one_of(metrics), self.monitor)
        value, ce = metrics[self.monitor].item(), metrics.get("val/ce", torch.zeros(()))
        if not (math.isfinite(value) and bool(ce.isfinite())):
            return
        # one epoch counts once, however often it validates
        epoch = training.current_epoch + 1
        better = [kept for kept in self._best if self.sign * kept.value >= self.sign * value]
        if len(better) < self.save_top_k and all(kept.epoch != epoch for kept in better):
            others = [kept for kept in self._best if kept not in better and kept.epoch != epoch]
            own = Kept(value, epoch, training.snapshot())
            self._best = [*better, own, *others][: self.save_top_k]
            self._best_is_written = False

    def on_train_epoch_end(self, training: Training) -> None:
        if self.monitor.startswith("train/"):
            self._consider(training)
        is_last = training.should_stop or training.current_epoch + 1 == training.max_epochs
        if not is_last and (self.is_due if self.wanted is None else self.wanted):
            self.write(training)

    def on_train_end(self, training: Training) -> None:
        self.write(training)

    def drop_the_one_before(self) -> None:
        """Delete the checkpoint before the last one, as the run is done."""
        one_before(self.folder / LAST).unlink(missing_ok=True)

    def write(self, training: Training) -> None:
        """Write the checkpoints."""
        with new_generation(self.folder / LAST) as path:
            training.save_checkpoint(path)
        self._write_best()
        self._written = time.monotonic()

    def _write_best(self) -> None:
        if self._best_is_written:
            return
        for i in range(self.save_top_k):
            place = self.best_path if i == 0 else self.folder / f"best-{i + 1}.ckpt"
            if i >= len(self._best):
                place.unlink(missing_ok=True)
                continue
            with whole_file(place) as path:
                write_checkpoint(self._best[i].content, path)
        self._best_is_written = True


def _one_of(metrics: Iterable[str]) -> str:
    return f"be one of the metrics that are logged, {', '.join(sorted(metrics))}"
