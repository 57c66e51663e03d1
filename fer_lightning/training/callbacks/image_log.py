"""The pictures of a run in TensorBoard: what its network looks for and gets wrong, over time."""

from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from matplotlib.figure import Figure
from torch import nn
from torch.utils.tensorboard.summary import image

from fer_lightning.data import CLASSES, FaceDataModule
from fer_lightning.plots import contingency, count_table, first_layer, pixels
from fer_lightning.training.classifier import ExpressionClassifier
from fer_lightning.training.loggers import TensorBoard
from fer_lightning.training.predictions import Predictions, predict, uncertain_faces

TIMES = 5  # a time costs what a few epochs do
THRESHOLD = 2 / 7  # of the study, for uncertain faces


class ImageLog(Checkpoint):
    """Shows first layer and confusion matrix now and then, and uncertain faces at the end.

    It is a `Checkpoint` because Lightning calls those after the network has logged its epoch.

    Args:
        boards: Where they are shown.
        every_n_epochs: Epochs between two pictures; 0 for none at all, None for `times` a run. The
            last epoch has its pictures too.

    Attributes:
        times: About how often pictures are made if `every_n_epochs` is None.
    """

    def __init__(self, boards: Sequence[TensorBoard], every_n_epochs: int | None) -> None:
        self.boards = boards
        self.every_n_epochs = every_n_epochs
        self.times = TIMES
        self._shown_at = 0

    def state_dict(self) -> dict[str, Any]:
        return {"shown_at": self._shown_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._shown_at = state_dict["shown_at"]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        every = self.every_n_epochs
        if every is None:
            every = max(1, (trainer.max_epochs or 0) // self.times)
        epoch = trainer.current_epoch + 1
        if every and epoch % every == 0:
            self._show(trainer, pl_module, epoch)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.every_n_epochs == 0:
            return
        epoch = trainer.current_epoch
        if self._shown_at != epoch:
            self._show(trainer, pl_module, epoch)
        predictions = _validation(trainer, pl_module)
        sheet = uncertain_faces(predictions, THRESHOLD) if predictions else None
        if sheet:
            self._add("uncertain/val", sheet, epoch)

    def _show(self, trainer: L.Trainer, model: L.LightningModule, epoch: int) -> None:
        self._shown_at = epoch
        predictions = _validation(trainer, model)
        if predictions is None:
            return
        assert isinstance(model, ExpressionClassifier)
        if any(isinstance(part, nn.Linear | nn.Conv2d) for part in model.modules()):
            self._add("first_layer", first_layer(model), epoch)
        n = len(CLASSES)
        counts = contingency(predictions.faces.labels, predictions.predicted, n, n)
        title = f"Validation faces after epoch {epoch}"
        table = count_table(title, counts, CLASSES, CLASSES, ("true", "predicted"))
        self._add("confusion/val", table, epoch)

    def _add(self, tag: str, figure: Figure, epoch: int) -> None:
        summary = image(tag, pixels(figure), dataformats="HWC")
        for board in self.boards:
            board.events.add(summary, epoch)


def _validation(trainer: L.Trainer, model: L.LightningModule) -> Predictions | None:
    """Return the predictions for the validation faces, or None if the network has diverged."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(datamodule, FaceDataModule)
    assert isinstance(model, ExpressionClassifier)
    predictions = predict(model, datamodule.resident("val"))
    return predictions if predictions.log_proba.isfinite().all() else None
