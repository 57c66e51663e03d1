"""What all networks share: the steps of training and evaluation."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from fer_lightning.data.minibatches import Batch, Minibatches
from fer_lightning.optimizers import OptimizerSettings


class ExpressionClassifier(L.LightningModule):
    """A network from faces to logits of the seven expressions, trained by cross-entropy.

    Logs `train/ce`, `train/acc`, `val/ce`, `val/acc`, `test/ce` and `test/acc`, each the mean over
    the faces of an epoch. Training means are taken while the weights move, as the minibatches come.

    Args:
        optimizer: How to train.
    """

    def __init__(self, optimizer: OptimizerSettings) -> None:
        super().__init__()
        self.optimizer = optimizer
        # One training step loops over many minibatches, so that Lightning's work around a step
        # (four times that of a small network) is paid for once for all of them.
        self.automatic_optimization = False
        self._outputs: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        self._ce = MeanMetric(nan_strategy="disable")
        self._acc = MeanMetric(nan_strategy="disable")

    def logits(self, images: Tensor) -> Tensor:
        """Logits, (B, 7), of faces in [0, 1], (B, 1, 48, 48)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Logits of faces.

        Args:
            images: Grey levels, (B, 1, 48, 48): integers 0..255, or floats in [0, 1].

        Returns:
            Unnormalised log-probabilities of the classes, (B, 7).
        """
        if not images.is_floating_point():
            images = images.to(self.dtype).div_(255)
        return self.logits(images)

    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: Minibatches | Batch, batch_idx: int) -> None:
        """Take one optimiser step for each minibatch."""
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        minibatches: Iterable[Batch] = batch if isinstance(batch, Minibatches) else [batch]
        for images, labels in minibatches:
            logits = self(images)
            optimizer.zero_grad()
            self.manual_backward(F.cross_entropy(logits, labels))
            optimizer.step()
            self._outputs["train"].append((logits.detach(), labels))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        self._outputs["val"].append((self(images), labels))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        self._outputs["test"].append((self(images), labels))

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train")

    def on_validation_epoch_end(self) -> None:
        self._log_epoch("val")

    def on_test_epoch_end(self) -> None:
        self._log_epoch("test")

    def _log_epoch(self, split: str) -> None:
        """Log the means over an epoch: one update of each metric for all of its minibatches."""
        logits, labels = map(torch.cat, zip(*self._outputs.pop(split), strict=True))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # from half precision
        self._ce.update(F.cross_entropy(logits, labels, reduction="none"))
        self._acc.update((logits.argmax(-1) == labels).to(logits.dtype))
        for name, metric in (("ce", self._ce), ("acc", self._acc)):
            self.log(f"{split}/{name}", metric.compute(), prog_bar=name == "acc")
            metric.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["network"] = type(self).__name__
