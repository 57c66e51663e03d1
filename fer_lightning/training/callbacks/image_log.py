"""The pictures of a run in TensorBoard: what its network looks for and gets wrong, over time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from fer_lightning.data import CLASSES
from fer_lightning.training.callbacks.watcher import Training, Watcher
from fer_lightning.training.loggers import TensorBoard

if TYPE_CHECKING:  # matplotlib takes a second to import: the first step does not wait for it
    from matplotlib.figure import Figure

    from fer_lightning.training.predictions import Predictions

TIMES = 5  # a time costs what a few epochs do
THRESHOLD = 2 / 7  # of the study, for uncertain faces


class ImageLog(Watcher):
    """Shows first layer and confusion matrix now and then, and uncertain faces at the end.

    Args:
        boards: Where they are shown.
        every_n_epochs: Epochs between two pictures; 0 for none at all, None for about `TIMES` a
            run. The last epoch has its pictures too.
    """

    def __init__(self, boards: Sequence[TensorBoard], every_n_epochs: int | None) -> None:
        self.boards = boards
        self.every_n_epochs = every_n_epochs
        self._shown_at = 0

    def state_dict(self) -> dict[str, Any]:
        return {"shown_at": self._shown_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._shown_at = state_dict["shown_at"]

    def on_train_epoch_end(self, training: Training) -> None:
        every = self.every_n_epochs
        if every is None:
            every = max(1, (training.max_epochs or 0) // TIMES)
        epoch = training.current_epoch + 1
        if every and epoch % every == 0:
            self._show(training, epoch)

    def on_train_end(self, training: Training) -> None:
        if self.every_n_epochs == 0:
            return
        epoch = training.current_epoch
        if self._shown_at != epoch:
            self._show(training, epoch)
        from fer_lightning.training.predictions import uncertain_faces

        predictions = _validation(training)
        sheet = uncertain_faces(predictions, THRESHOLD) if predictions else None
        if sheet:
            self._add("uncertain/val", sheet, epoch)

    def _show(self, training: Training, epoch: int) -> None:
        from fer_lightning.plots import contingency, count_table, first_layer

        self._shown_at = epoch
        predictions = _validation(training)
        if predictions is None:
            return
        if any(isinstance(part, nn.Linear | nn.Conv2d) for part in training.model.modules()):
            self._add("first_layer", first_layer(training.model), epoch)
        n = len(CLASSES)
        counts = contingency(predictions.faces.labels, predictions.predicted, n, n)
        title = f"Validation faces after epoch {epoch}"
        table = count_table(title, counts, CLASSES, CLASSES, ("true", "predicted"))
        self._add("confusion/val", table, epoch)

    def _add(self, tag: str, figure: "Figure", epoch: int) -> None:
        from torch.utils.tensorboard.summary import image

        from fer_lightning.plots import pixels

        summary = image(tag, pixels(figure), dataformats="HWC")
        for board in self.boards:
            board.events.add(summary, epoch)


def _validation(training: Training) -> "Predictions | None":
    """Return the predictions for the validation faces, or None if the network has diverged."""
    from fer_lightning.training.predictions import predict

    predictions = predict(training.model, training.datamodule.resident("val"))
    return predictions if predictions.log_proba.isfinite().all() else None
