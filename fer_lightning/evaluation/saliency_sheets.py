"""Sheets of faces that show which of their pixels speak for what the network said."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from fer_lightning.data import CLASSES, prepared
from fer_lightning.evaluation.saliency import saliency, window_of
from fer_lightning.plots import Legend, MappedFace, map_sheet
from fer_lightning.training import ExpressionClassifier, Predictions

MISTAKES, MISTAKES_IN_ROW = 12, 3
TYPICAL = 4  # of each class
# The share of a sheet's pixels within the scale, as a few strong ones would leave the others pale;
# but it reaches to a part of the strongest, as almost all pixels may do nothing.
WITHIN, PART = 0.99, 0.25
TIMES = "\N{MULTIPLICATION SIGN}"
LEAST = 1e-6  # bits at the end of the scale, where no pixel does anything


def saliency_figures(model: ExpressionClassifier, predictions: Predictions) -> dict[str, Figure]:
    """Draw what speaks for the network's answers, by name; sheets without faces are left out.

    Args:
        model: The network in evaluation mode.
        predictions: Its predictions for the faces among which some are chosen.
    """
    sheets = {
        "saliency_mistakes": saliency_of_mistakes(model, predictions),
        "saliency_typical": saliency_of_typical(model, predictions),
    }
    return {name: sheet for name, sheet in sheets.items() if sheet}


def saliency_of_mistakes(model: ExpressionClassifier, predictions: Predictions) -> Figure | None:
    """Draw the surest mistakes with maps for the predicted and the true class, or return None."""
    rows = _surest(predictions, ~predictions.right)
    if not len(rows):
        return None
    faces = []
    for row in rows[:MISTAKES].tolist():
        true, answer = int(predictions.faces.labels[row]), int(predictions.predicted[row])
        said = f"{CLASSES[true]} → {CLASSES[answer]}"
        faces.append(_mapped(model, predictions, row, (answer, true), f"\n{said}"))
    n = f"{len(faces)} of {len(rows):,} mistakes" if len(rows) > len(faces) else "The mistakes"
    title = f"{n}, surest first: what speaks for the predicted and for the true class"
    starts = range(0, len(faces), MISTAKES_IN_ROW)
    return _sheet(title, [("", faces[i : i + MISTAKES_IN_ROW]) for i in starts])


def saliency_of_typical(model: ExpressionClassifier, predictions: Predictions) -> Figure | None:
    """Draw the surest right answers of each class with maps for it, or return None."""
    rows = []
    for label, name in enumerate(CLASSES):
        chosen = _surest(predictions, predictions.right & (predictions.faces.labels == label))
        faces = [_mapped(model, predictions, row, (label,)) for row in chosen[:TYPICAL].tolist()]
        rows.append((name if faces else f"{name}:\nnone is right", faces))
    if not any(faces for _, faces in rows):
        return None
    return _sheet("The surest right answers of each class: what speaks for it", rows)


def _surest(predictions: Predictions, among: Tensor) -> Tensor:
    """Return the rows for which `among`, (N,), holds, surest first."""
    rows = predictions.confidence.argsort(descending=True, stable=True)
    return rows[among[rows]]


def _mapped(
    model: ExpressionClassifier,
    predictions: Predictions,
    row: int,
    classes: Sequence[int],
    more: str = "",
) -> MappedFace:
    """Return a face with a map for each of the classes."""
    faces = predictions.faces
    image = faces.images[row, None]
    shown = prepared(image, model.contrast, cast(torch.dtype, model.dtype))[0]
    caption = f"#{int(faces.index[row])}: {predictions.confidence[row]:.3f}{more}"
    captions = [caption, *(f"for {CLASSES[label]}" for label in classes)]
    return MappedFace(prepared(image, None)[0, 0], saliency(model, shown, classes), captions)


def _sheet(title: str, rows: Sequence[tuple[str, Sequence[MappedFace]]]) -> Figure:
    """Draw faces with their maps on one scale, which says by how much odds change."""
    faces = [face for _, row in rows for face in row]
    values = np.abs(np.concatenate([face.maps.numpy().ravel() for face in faces]))
    limit = max(float(np.quantile(values, WITHIN)), PART * float(values.max()), LEAST)
    side = window_of(faces[0].face.shape[-1])
    note = (
        "Above a face: its index and highest score. Coloured: how the odds of the class change "
        f"when {side} x {side} pixels there are blurred."
    )
    ticks = {share * limit: _factor(share * limit) for share in (-1, -0.5, 0, 0.5, 1)}
    odds = "what blurring does to the odds p / (1 - p) of the class"
    texts = ("speaks against the class", odds, "speaks for the class")
    return map_sheet(title, note, rows, Legend(limit, ticks, texts))


def _factor(bits: float) -> str:
    """Return what happens to odds of which so many bits are taken, as ÷2 for 1."""
    if bits == 0:
        return "the same"
    change, n = "÷" if bits > 0 else TIMES, abs(bits)
    return f"{change}{2**n:.3g}" if n < 10 else f"{change}2^{n:.3g}"
