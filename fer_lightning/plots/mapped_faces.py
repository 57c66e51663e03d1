"""Faces with maps of their pixels beside them, on one scale of two colours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from fer_lightning.data import SIZE
from fer_lightning.plots.colors import BLUE, INK, VERMILION
from fer_lightning.plots.sheets import CAPTION, GAP, INCH, LINE, MARGIN, ROW_LABEL
from fer_lightning.plots.style import DPI

AGAINST_FOR = LinearSegmentedColormap.from_list("against_for", [BLUE, "white", VERMILION])
SIDE = 2 * SIZE  # of a picture, in pixels of which INCH are an inch
GROUP_GAP, ROW_GAP, HEAD, FOOT = 14, 6, 36, 54
SHADE = 0.35  # how dark a map is where its face is black, so that one sees what lies there


@dataclass(frozen=True, eq=False)
class MappedFace:
    """A face and maps of its pixels.

    Attributes:
        face: Grey levels from 0 to 1, (H, H).
        maps: What each pixel does, signed, (M, H, H).
        captions: The texts above the face and above each map, M + 1; they may have several lines.
    """

    face: Tensor
    maps: Tensor
    captions: Sequence[str]


@dataclass(frozen=True)
class Legend:
    """What the colours of a sheet mean.

    Attributes:
        limit: The value of the full colours; what lies beyond it has them, too.
        ticks: From values on the scale to their texts.
        texts: Below these, at the left end, in the middle and at the right end.
    """

    limit: float
    ticks: dict[float, str]
    texts: tuple[str, str, str]


def map_sheet(
    title: str, note: str, rows: Sequence[tuple[str, Sequence[MappedFace]]], legend: Legend
) -> Figure:
    """Draw faces, each with its maps beside it, laid over the pale face.

    Args:
        title: Above them.
        note: Below the title, smaller.
        rows: From top to bottom: a text to the left, or an empty one, and the faces.
        legend: The scale, which stands below them.
    """
    faces = [face for _, row in rows for face in row]
    group = max(len(face.captions) for face in faces) * (SIDE + GAP) - GAP + GROUP_GAP
    lines = max(caption.count("\n") for face in faces for caption in face.captions)
    above = ROW_GAP + CAPTION + LINE * lines
    before = ROW_LABEL + MARGIN if any(label for label, _ in rows) else MARGIN
    n_beside = max(len(row) for _, row in rows)
    width = max(before + n_beside * group - GROUP_GAP + MARGIN, 7 * len(title), 5.3 * len(note))
    height = HEAD + len(rows) * (above + SIDE) + FOOT
    figure, axes = _canvas(width, height)
    for y, text, size in ((14, title, 11), (30, note, 8)):
        axes.text(MARGIN, y, text, size=size, color=INK, va="center")
    for i, (label, row) in enumerate(rows):
        top = HEAD + i * (above + SIDE) + above
        axes.text(before - 6, top + SIDE / 2, label, size=8, color=INK, ha="right", va="center")
        for j, face in enumerate(row):
            _draw(axes, face, before + j * group, top, legend.limit)
    _scale(figure, legend, width, height)
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure and axes that fill it, in pixels from its upper left corner."""
    figure = Figure(figsize=(width / INCH, height / INCH), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_autoscale_on(False)
    return figure, axes


def _draw(axes: Axes, shown: MappedFace, left: float, top: float, limit: float) -> None:
    """Draw a face and its maps from left to right."""
    face = _enlarged(shown.face, "nearest")
    tiles = [np.repeat(face[..., None], 3, -1)]
    for values in shown.maps:
        share = _enlarged(values, "bilinear") / (2 * limit) + 0.5
        tiles.append(AGAINST_FOR(share)[..., :3] * (1 - SHADE * (1 - face[..., None])))
    for k, (tile, caption) in enumerate(zip(tiles, shown.captions, strict=True)):
        x = left + k * (SIDE + GAP)
        axes.imshow(tile.clip(0, 1), extent=(x, x + SIDE, top + SIDE, top), aspect="auto")
        axes.text(x + SIDE / 2, top - 3, caption, size=8, color=INK, ha="center", va="bottom")


def _enlarged(values: Tensor, mode: str) -> np.ndarray:
    """Return pixels, (H, H), with the side of a picture on the sheet, averaged if they are more."""
    mode = "area" if values.shape[-1] > SIDE else mode
    return F.interpolate(values.double()[None, None], size=SIDE, mode=mode)[0, 0].numpy()


def _scale(figure: Figure, legend: Legend, width: float, height: float) -> None:
    """Draw the scale below all faces, over the whole width."""
    place = (MARGIN / width, (FOOT - 21) / height, 1 - 2 * MARGIN / width, 8 / height)
    scale = figure.colorbar(
        ScalarMappable(Normalize(-legend.limit, legend.limit), AGAINST_FOR),
        cax=figure.add_axes(place),
        orientation="horizontal",
        extend="both",
        extendfrac=0.02,
    )
    scale.set_ticks(list(legend.ticks), labels=list(legend.ticks.values()))
    scale.ax.tick_params(labelsize=8, length=2, pad=2, colors=INK)
    scale.outline.set_visible(False)
    left, right = MARGIN / width, 1 - MARGIN / width
    texts = zip((left, 0.5, right), legend.texts, ("left", "center", "right"), strict=True)
    for x, text, side in texts:
        figure.text(x, MARGIN / height, text, size=8, color=INK, ha=side, va="bottom")
