"""What is called in a training, whichever engine trains, and what it is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from fer_lightning.data import ResidentFaces
from fer_lightning.training.expression_network import ExpressionNetwork


class Training(Protocol):
    """A training that goes on, as its watchers see it.

    Attributes:
        should_stop: Set to true, it ends the training after this epoch.
    """

    should_stop: bool

    @property
    def current_epoch(self) -> int:
        """The number of epochs that are over; at the end of one, its number from 0."""

    @property
    def max_epochs(self) -> int | None:
        """The number of epochs after which it ends."""

    @property
    def callback_metrics(self) -> Mapping[str, Tensor]:
        """The newest values of all metrics, such as `val/ce`, a scalar each."""

    @property
    def model(self) -> ExpressionNetwork:
        """The network."""

    @property
    def datamodule(self) -> ResidentFaces:
        """The faces."""

    def snapshot(self) -> dict[str, Any]:
        """Return a checkpoint for `load_from_checkpoint`, with copies of the weights."""

    def save_checkpoint(self, path: Path) -> None:
        """Write a checkpoint from which the training can go on."""


class Watcher:
    """Something that a run leaves behind, written while it is trained.

    Its hooks are called as Lightning calls those of callbacks of the same names.
    """

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state saved in a checkpoint."""

    def setup(self) -> None:
        """Prepare for a training."""

    def on_train_start(self, training: Training) -> None:
        """Begin, or go on."""

    def on_train_epoch_start(self, training: Training) -> None:
        """Begin an epoch."""

    def on_validation_end(self, training: Training) -> None:
        """Take note of a validation."""

    def on_train_epoch_end(self, training: Training) -> None:
        """End an epoch, whose metrics are known."""

    def on_train_end(self, training: Training) -> None:
        """End."""
