"""`best.ckpt` and `last.ckpt` of a run, and its end after a signal, once they are written."""

import io
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging

from fer_lightning.errors import require
from fer_lightning.files import new_generation, one_before, whole_file
from fer_lightning.processes import is_waiting, stop_if_waiting, take_signals_back
from fer_lightning.runs import LAST
from fer_lightning.training.classifier import ExpressionClassifier

OF_AVERAGING = ("current_model_state", "averaging_state")


class Kept(NamedTuple):
    """A network that is kept: its value of the metric, its epoch from 1, and its checkpoint."""

    value: float
    epoch: int
    content: dict[str, Any]


class Checkpoints(Checkpoint):
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
    def best_value(self) -> float | None:
        """Return the best value of the metric so far, or None before there is one."""
        return self._best[0].value if self._best else None

    @property
    def is_due(self) -> bool:
        """Return whether it is time to write the checkpoints."""
        return self._is_late(self.every_seconds) or is_waiting()

    def _is_late(self, seconds: float) -> bool:
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

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.monitor.startswith("train/"):  # which is logged at the end of the epoch
            return
        self._consider(trainer, pl_module)

    def _consider(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the network if it is one of the best so far."""
        metrics = trainer.callback_metrics
        require(self.monitor in metrics, "checkpoint.monitor", _one_of(metrics), self.monitor)
        value, ce = metrics[self.monitor].item(), metrics.get("val/ce", torch.zeros(()))
        if not (math.isfinite(value) and bool(ce.isfinite())):
            return
        # one epoch counts once, however often it validates
        epoch = trainer.current_epoch + 1
        better = [kept for kept in self._best if self.sign * kept.value >= self.sign * value]
        if len(better) < self.save_top_k and all(kept.epoch != epoch for kept in better):
            others = [kept for kept in self._best if kept not in better and kept.epoch != epoch]
            own = Kept(value, epoch, self._snapshot(trainer, pl_module))
            self._best = [*better, own, *others][: self.save_top_k]
            self._best_is_written = False

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.monitor.startswith("train/"):
            self._consider(trainer, pl_module)
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not is_last and (self.is_due if self.wanted is None else self.wanted):
            self._write(trainer)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Write the checkpoints in a long epoch or when a signal waits, if there is one process."""
        is_due = is_waiting() or self._is_late(2 * self.every_seconds)
        if is_due and trainer.world_size == 1 and is_between_steps(trainer):
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

    def drop_the_one_before(self) -> None:
        """Delete the checkpoint before the last one, as the run is done."""
        one_before(self.folder / LAST).unlink(missing_ok=True)

    def _snapshot(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return a checkpoint for `load_from_checkpoint`, with copies of the weights."""
        checkpoint: dict[str, Any] = {
            "epoch": trainer.current_epoch,
            "global_step": trainer.global_step,
            "pytorch-lightning_version": L.__version__,
            "state_dict": {name: w.clone() for name, w in pl_module.state_dict().items()},
        }
        pl_module.on_save_checkpoint(checkpoint)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):  # whose weights were validated
                callback.on_save_checkpoint(trainer, pl_module, checkpoint)
                weights = checkpoint["state_dict"].items()
                checkpoint["state_dict"] = {name: w.clone() for name, w in weights}
        return {name: part for name, part in checkpoint.items() if name not in OF_AVERAGING}

    def _write(self, trainer: L.Trainer) -> None:
        with new_generation(self.folder / LAST) as path:
            trainer.save_checkpoint(path)
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
            content = io.BytesIO()  # PyTorch does not say why it cannot write to a file
            torch.save(self._best[i].content, content)
            with whole_file(place) as path:
                path.write_bytes(content.getbuffer())
        self._best_is_written = True


class StopOnSignal(Checkpoint):
    """Ends a training after a signal, once its state is saved.

    It is a `Checkpoint`, and the last of them, so that the others have written their files.
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


def _one_of(metrics: Iterable[str]) -> str:
    return f"be one of the metrics that are logged, {', '.join(sorted(metrics))}"
