"""PyTorch's scheduler that waits for a metric, with a warm-up before it begins to look."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau


class WarmedPlateau(ReduceLROnPlateau):
    """Raises the learning rate over some epochs, and then reduces it on plateaus.

    Args:
        optimizer: Whose learning rates it sets.
        warmup_epochs: In epoch i of these, from 1, a rate is its i-th part of warmup_epochs + 1.
        settings: Of `ReduceLROnPlateau`.
    """

    def __init__(self, optimizer: Optimizer, warmup_epochs: int, **settings: Any) -> None:
        super().__init__(optimizer, **settings)
        self.warmup_epochs = warmup_epochs
        self.full = [group["lr"] for group in optimizer.param_groups]
        self._warm(0)

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        if self.last_epoch < self.warmup_epochs:
            self.last_epoch += 1
            self._warm(self.last_epoch)
        else:
            super().step(metrics)

    def _warm(self, done: int) -> None:
        share = min(1.0, (done + 1) / (self.warmup_epochs + 1))
        for group, lr in zip(self.optimizer.param_groups, self.full, strict=True):
            group["lr"] = lr * share
