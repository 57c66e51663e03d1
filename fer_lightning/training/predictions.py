"""A network's predictions for faces, and sheets of faces with captions."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from fer_lightning.data import CLASSES, SIZE, Faces
from fer_lightning.plots import face_sheet
from fer_lightning.training.expression_network import ExpressionNetwork
from fer_lightning.training.scoring import logits_of

COLUMNS = ("index", "true", "predicted", *CLASSES)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Faces and the probabilities of their classes.

    Attributes:
        faces: N faces in the order of their index.
        log_proba: Log-probabilities of the classes, (N, 7), float64.
    """

    faces: Faces
    log_proba: Tensor

    @cached_property
    def confidence(self) -> Tensor:
        """Return the highest softmax score of each face, (N,)."""
        return self.log_proba.amax(-1).exp()

    @cached_property
    def predicted(self) -> Tensor:
        """Return the class with the highest softmax score of each face, (N,)."""
        return self.log_proba.argmax(-1)

    @cached_property
    def right(self) -> Tensor:
        """Return whether the predicted class of each face is the true one, (N,), bool."""
        return self.predicted == self.faces.labels

    def rows(self) -> Iterator[list[object]]:
        """Return the rows of predictions.csv, whose columns are `COLUMNS`."""
        facts = zip(self.faces.index, self.faces.labels, self.predicted, strict=True)
        for (index, label, answer), scores in zip(facts, self.log_proba.exp(), strict=True):
            digits = [f"{score:.9g}" for score in scores.tolist()]
            yield [int(index), CLASSES[label], CLASSES[answer], *digits]


def predict(model: ExpressionNetwork, faces: Faces) -> Predictions:
    """Return the predictions, on the CPU, of a network for faces on its device."""
    rows = faces.index.argsort(stable=True)
    log_proba = logits_of(model, faces).double().log_softmax(-1)
    return Predictions(faces.take(rows).to("cpu"), log_proba[rows].cpu())


SHEET_COLUMNS, SHEET_MOST = 8, 40

ENLARGED = 2 * SIZE  # pixels of a face's side, so that captions fit


def uncertain_faces(predictions: Predictions, threshold: float) -> Figure | None:
    """Draw the faces whose highest score is below a threshold, least sure first, or None."""
    rows = predictions.confidence.argsort(stable=True)
    rows = rows[predictions.confidence[rows] < threshold]
    what = f"highest score below {threshold:.3g}, least sure first"
    return _sheet(predictions, rows, "uncertain", what)


def confident_mistakes(predictions: Predictions) -> Figure | None:
    """Draw the misclassified faces, surest first, or return None if all are right."""
    rows = predictions.confidence.argsort(descending=True, stable=True)
    rows = rows[~predictions.right[rows]]
    return _sheet(predictions, rows, "wrong", "surest first")


def _sheet(predictions: Predictions, rows: Tensor, kind: str, what: str) -> Figure | None:
    """Draw the first faces of these rows, with index, highest score, true and predicted class."""
    n = len(rows)
    if not n:
        return None
    rows = rows[:SHEET_MOST]
    faces = predictions.faces.images[rows].float() / 255
    mode = "area" if faces.shape[-1] > ENLARGED else "nearest"
    images = F.interpolate(faces, size=ENLARGED, mode=mode)
    captions = [_caption(predictions, int(row)) for row in rows]
    shown = (
        f"{len(rows)} of {n:,} {kind} faces"
        if n > SHEET_MOST
        else f"{n} {kind} face{'s' * (n > 1)}"
    )
    title = f"{shown} ({what}): true → predicted"
    return face_sheet(title, images.flatten(1), min(SHEET_COLUMNS, n), captions)


def _caption(predictions: Predictions, row: int) -> str:
    faces = predictions.faces
    true, answer = CLASSES[faces.labels[row]], CLASSES[predictions.predicted[row]]
    return f"#{int(faces.index[row])}: {predictions.confidence[row]:.3f}\n{true} → {answer}"
