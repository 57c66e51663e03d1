"""Faces as pictures, with what a network says of them."""

import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from fer_lightning.data.faces import CLASSES
from fer_lightning.face_sheet import face_sheet
from fer_lightning.predictions import Predictions

COLUMNS, MOST = 8, 40
ENLARGED = 2  # times the size of a face, so that captions fit


def uncertain_faces(predictions: Predictions, threshold: float) -> Figure | None:
    """The faces whose highest score is below the threshold, least sure first; None without any."""
    rows = predictions.confidence.argsort(stable=True)
    rows = rows[predictions.confidence[rows] < threshold]
    what = f"highest score below {threshold:.3g}, least sure first"
    return _sheet(predictions, rows, "uncertain", what)


def confident_mistakes(predictions: Predictions) -> Figure | None:
    """The faces that are taken for another class, surest first; None if all are right."""
    rows = predictions.confidence.argsort(descending=True, stable=True)
    rows = rows[~predictions.right[rows]]
    return _sheet(predictions, rows, "wrong", "surest first")


def _sheet(predictions: Predictions, rows: Tensor, kind: str, what: str) -> Figure | None:
    """The first faces of these rows, with index, highest score, true and predicted class."""
    n = len(rows)
    if not n:
        return None
    rows = rows[:MOST]
    images = F.interpolate(predictions.faces.images[rows].float() / 255, scale_factor=ENLARGED)
    captions = [_caption(predictions, int(row)) for row in rows]
    shown = f"{len(rows)} of {n:,} {kind} faces" if n > MOST else f"{n} {kind} face{'s' * (n > 1)}"
    title = f"{shown} ({what}): true → predicted"
    return face_sheet(title, images.flatten(1), min(COLUMNS, n), captions)


def _caption(predictions: Predictions, row: int) -> str:
    faces = predictions.faces
    true, answer = CLASSES[faces.labels[row]], CLASSES[predictions.predicted[row]]
    return f"#{int(faces.index[row])}: {predictions.confidence[row]:.3f}\n{true} → {answer}"
