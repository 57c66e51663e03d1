"""The end of a run before its last epoch: where it pauses, or where its sweep gives it up."""

from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

# Is told an epoch, from 1, and its means under their names such as `val/acc`. It returns None, or
# how the run stops, such as "at rung 2"; after the last epoch it is told, but not asked.
Judge = Callable[[int, Mapping[str, float]], str | None]


class Stops(Checkpoint):
    """Stops a run after an epoch.

    It is a `Checkpoint` because Lightning calls those after the network has logged its epoch, and
    all other callbacks before.

    Args:
        epoch: The epoch, from 1, after which the run stops, or None.
        rung: The number of that stop among those of a sweep by halving, or None.
        judge: Who decides after each epoch.

    Attributes:
        stopped: How the run was stopped before its last epoch, or None.
    """

    def __init__(
        self, epoch: int | None = None, rung: int | None = None, judge: Judge | None = None
    ) -> None:
        self.epoch, self.rung, self.judge = epoch, rung, judge
        self.stopped: str | None = None

    def state_dict(self) -> dict[str, Any]:
        return {} if self.judge is None else {"stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore that the judge has stopped the run, if there is one again."""
        self.stopped = state_dict["stopped"] if self.judge else None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.stopped is not None:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        told = None
        if self.judge is not None:
            means = trainer.callback_metrics
            told = self.judge(epoch, {name: means[name].item() for name in means})
        if trainer.should_stop or epoch == trainer.max_epochs:
            return
        if self.epoch is not None and epoch >= self.epoch:
            told = f"at epoch {epoch}" if self.rung is None else f"at rung {self.rung}"
        self.stopped = told
        if trainer.world_size > 1:  # only the process that leads may have a judge
            self.stopped = trainer.strategy.broadcast(self.stopped)
        if self.stopped is not None:
            trainer.should_stop = True
