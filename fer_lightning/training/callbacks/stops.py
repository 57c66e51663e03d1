"""The end of a run before its last epoch: where it pauses, or where its sweep gives it up."""

from collections.abc import Callable, Mapping
from typing import Any

import torch.distributed

from fer_lightning.processes import n_processes
from fer_lightning.training.callbacks.watcher import Training, Watcher

# Is told an epoch, from 1, and its means under their names such as `val/acc`. It returns None, or
# how the run stops, such as "at rung 2"; after the last epoch it is told, but not asked.
Judge = Callable[[int, Mapping[str, float]], str | None]


class Stops(Watcher):
    """Stops a run after an epoch.

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

    def on_train_start(self, training: Training) -> None:
        if self.epoch is not None and training.current_epoch >= self.epoch:
            self.stopped = self._pause(training.current_epoch)  # cut off before it could say so
        if self.stopped is not None:
            training.should_stop = True

    def on_train_epoch_end(self, training: Training) -> None:
        epoch = training.current_epoch + 1
        told = None
        if self.judge is not None:
            means = training.callback_metrics
            told = self.judge(epoch, {name: means[name].item() for name in means})
        if training.should_stop or epoch == training.max_epochs:
            return
        if self.epoch is not None and epoch >= self.epoch:
            told = self._pause(epoch)
        self.stopped = _told_to_all(told)
        if self.stopped is not None:
            training.should_stop = True

    def _pause(self, epoch: int) -> str:
        return f"at epoch {epoch}" if self.rung is None else f"at rung {self.rung}"


def _told_to_all(told: str | None) -> str | None:
    """Return what the leading process was told, who alone may have a judge, in every process."""
    if n_processes() == 1:
        return told
    both = [told]
    torch.distributed.broadcast_object_list(both, src=0)
    return both[0]
