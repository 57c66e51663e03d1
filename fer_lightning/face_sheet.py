"""Pictures of faces side by side."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from fer_lightning.figure_style import DPI, INK

INCH = 72  # pixels of a face to an inch, so two dots to a pixel, and a point of type to each
GAP, CAPTION, HEAD, MARGIN, ROW_LABEL, BAR = 4, 14, 24, 8, 52, 48
LINE = 10  # of each further line of a caption


def face_sheet(
    title: str,
    faces: Tensor,
    columns: int,
    captions: Sequence[str] = (),
    rows: Sequence[str] = (),
    unit: str | None = None,
    *,
    signed: bool = False,
) -> Figure:
    """Faces side by side.

    Args:
        title: Above them.
        faces: (n, P); NaN leaves a place empty.
        columns: Faces in a row.
        captions: Of each face, above it; they may have several lines.
        rows: Of each row, to its left.
        unit: With one, values are shown in colours with a scale that has this name; without, faces
            are grey, from 0 to 1.
        signed: Whether values with a unit are grey instead, on a scale that is symmetric about 0.
    """
    side = math.isqrt(faces.shape[-1])
    more_lines = max((caption.count("\n") for caption in captions), default=0)
    above = CAPTION + LINE * more_lines if captions else GAP
    n_rows = math.ceil(len(faces) / columns)
    width, height = columns * (side + GAP) - GAP, n_rows * (side + above)
    canvas = np.full((height, width), np.nan, dtype=np.float32)
    places = [divmod(i, columns) for i in range(len(faces))]
    corners = [(r * (side + above) + above, c * (side + GAP)) for r, c in places]
    for (top, left), face in zip(corners, faces.float().cpu().numpy(), strict=True):
        canvas[top : top + side, left : left + side] = face.reshape(side, side)

    before = ROW_LABEL if rows else MARGIN
    full_width = max(before + width + (BAR if unit else MARGIN), 7 * len(title))
    full_height = HEAD + height + MARGIN
    figure = Figure(figsize=(full_width / INCH, full_height / INCH), dpi=DPI)
    figure.text(MARGIN / full_width, 1 - 14 / full_height, title, size=11, color=INK, va="center")
    place = (before, MARGIN, width, height)
    axes = figure.add_axes(_share(place, full_width, full_height))
    axes.set_axis_off()
    top_value = float(np.nanmax(np.abs(canvas))) if unit else 1.0
    picture = axes.imshow(
        canvas,
        cmap="viridis" if unit and not signed else "gray",
        norm=Normalize(-top_value if signed else 0, top_value),
        interpolation="nearest",
    )
    for caption, (top, left) in zip(captions, corners, strict=False):
        axes.text(left + side / 2, top - 3, caption, size=8, color=INK, ha="center", va="bottom")
    for label, (top, _) in zip(rows, corners[::columns], strict=False):
        axes.text(-6, top + side / 2, label, size=8, color=INK, ha="right", va="center")
    if unit:
        # A scale as tall as one row of faces.
        beside = (before + width + 8, MARGIN, 6, side)
        scale = figure.colorbar(
            picture, cax=figure.add_axes(_share(beside, full_width, full_height))
        )
        scale.ax.tick_params(labelsize=6, length=2, pad=1, colors=INK)
        scale.ax.yaxis.set_major_locator(MaxNLocator(3))
        scale.outline.set_visible(False)
        scale.ax.set_title(unit, size=6, color=INK, pad=4)
    return figure


def _share(box: Sequence[float], width: float, height: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a box as shares of a figure."""
    left, bottom, wide, tall = box
    return left / width, bottom / height, wide / width, tall / height


def padded(faces: Iterable[Tensor], columns: int) -> Tensor:
    """Rows of at most `columns` faces, (rows * columns, P), with NaN where one is missing."""
    rows = []
    for row in faces:
        filled = row.new_full((columns, row.shape[-1]), torch.nan)
        filled[: len(row)] = row
        rows.append(filled)
    return torch.cat(rows)
