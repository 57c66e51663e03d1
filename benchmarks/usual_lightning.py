"""The usual way to train with Lightning: what its own examples do."""

import tempfile
import time

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from fer_lightning.data import CLASSES, Faces, FaceSplits


class UsualModule(L.LightningModule):
    """A network whose steps update metrics and log them.

    Args:
        network: From faces in [0, 1] to logits.
        lr: Learning rate.
    """

    def __init__(self, network: nn.Module, lr: float) -> None:
        super().__init__()
        self.network, self.lr = network, lr
        self.train_acc = MulticlassAccuracy(len(CLASSES), average="micro")
        self.val_acc = MulticlassAccuracy(len(CLASSES), average="micro")

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        self.train_acc(logits, labels)
        self.log("train/ce", loss, on_step=False, on_epoch=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self.network(images)
        self.val_acc(logits, labels)
        self.log("val/ce", F.cross_entropy(logits, labels))
        self.log("val/acc", self.val_acc)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class EpochTimes(L.Callback):
    """The seconds of each epoch with its validation, its log and its checkpoint."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.starts.append(time.perf_counter())

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.starts.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        """Return the seconds from the start of each epoch to the start of the next."""
        pairs = zip(self.starts, self.starts[1:], strict=False)
        return [end - start for start, end in pairs]


def epoch_seconds(
    network: nn.Module, splits: FaceSplits, batch_size: int, epochs: int, lr: float
) -> list[float]:
    """Train with Lightning, its own logger and checkpoints; return the seconds of each epoch."""
    times = EpochTimes()
    with tempfile.TemporaryDirectory() as folder:
        trainer = L.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=TensorBoardLogger(folder),
            callbacks=[ModelCheckpoint(monitor="val/acc", mode="max", save_last=True), times],
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        train = DataLoader(_dataset(splits.train), batch_size, shuffle=True)
        val = DataLoader(_dataset(splits.val), batch_size=512)
        trainer.fit(UsualModule(network, lr), train, val)
    return times.seconds


def _dataset(faces: Faces) -> TensorDataset:
    return TensorDataset(faces.images.float() / 255, faces.labels)
