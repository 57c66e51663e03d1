"""Pictures side by side: faces, the weights of a first layer, some faces of each class."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from fer_lightning.data import CLASSES, SIZE, Faces
from fer_lightning.plots.colors import INK
from fer_lightning.plots.style import DPI

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
    """Draw faces side by side.

    Args:
        title: Above them.
        faces: (n, P), shown near the size of 48 x 48; NaN leaves a place empty.
        columns: Faces in a row.
        captions: A text above each face; it may have several lines.
        rows: A text to the left of each row.
        unit: With one, values are shown in colours with a scale that has this name; without, faces
            are grey, from 0 to 1.
        signed: Whether values with a unit are grey instead, on a scale that is symmetric about 0.
    """
    faces = _near_size(faces.float().cpu())
    side = math.isqrt(faces.shape[-1])
    more_lines = max((caption.count("\n") for caption in captions), default=0)
    above = CAPTION + LINE * more_lines if captions else GAP
    n_rows = math.ceil(len(faces) / columns)
    width, height = columns * (side + GAP) - GAP, n_rows * (side + above)
    canvas = np.full((height, width), np.nan, dtype=np.float32)
    places = [divmod(i, columns) for i in range(len(faces))]
    corners = [(r * (side + above) + above, c * (side + GAP)) for r, c in places]
    for (top, left), face in zip(corners, faces.numpy(), strict=True):
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


def _near_size(faces: Tensor) -> Tensor:
    """Return faces, (n, P), with half to twice the side of 48: enlarged, or averaged."""
    side = math.isqrt(faces.shape[-1])
    images = faces.unflatten(-1, (side, side))
    if 2 * side < SIZE:
        images = _enlarged(images, SIZE // side)
    elif side > 2 * SIZE:
        images = adaptive_avg_pool2d(images, 2 * SIZE)
    return images.flatten(1)


def _share(box: Sequence[float], width: float, height: float) -> tuple[float, float, float, float]:
    """Return a box (left, bottom, width, height) as fractions of a figure's width and height."""
    left, bottom, wide, tall = box
    return left / width, bottom / height, wide / width, tall / height


def padded(faces: Iterable[Tensor], columns: int) -> Tensor:
    """Join rows of at most `columns` faces, (rows * columns, P), with NaN where one is missing."""
    rows = []
    for row in faces:
        filled = row.new_full((columns, row.shape[-1]), torch.nan)
        filled[: len(row)] = row
        rows.append(filled)
    return torch.cat(rows)


MAX_COLUMNS = 10


def first_layer(model: nn.Module) -> Figure:
    """Draw the weights of each hidden unit of an MLP as a face, or each filter of a CNN.

    All share one grey scale, symmetric about 0, which stands beside them; filters are enlarged to
    about the size of a face.

    Args:
        model: A network whose first weights belong to a linear or a convolutional layer.
    """
    layer = next(m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    weights = layer.weight.detach().float().cpu()
    n = len(weights)
    if isinstance(layer, nn.Linear):
        title = f"First layer: weights of {n} hidden units"
        images = weights
    else:
        side = weights.shape[-1]
        title = f"First layer: {n} filters of {side}x{side}"
        images = _enlarged(weights[:, 0], max(1, SIZE // side)).flatten(1)
    columns = n if n <= MAX_COLUMNS // 2 else min(MAX_COLUMNS, math.ceil(n / 2))
    return face_sheet(title, images, columns, unit="weight", signed=True)


def _enlarged(images: Tensor, factor: int) -> Tensor:
    """Return images, (n, H, W), with each pixel enlarged to a square of `factor` x `factor`."""
    return images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


SCALE = 2

CONTACT_GAP = 4

LABEL_WIDTH = 96

CONTACT_INK, PAPER = 40, 255


def contact_sheet(faces: Faces, per_class: int = 10) -> Image.Image:
    """Draw the first faces of each class, a row per class, at twice the size of 48 x 48.

    Args:
        faces: Where they are taken from, in their order.
        per_class: Faces in a row; a class with fewer leaves the rest of its row empty.
    """
    step = SCALE * SIZE + CONTACT_GAP
    sheet = Image.new(
        "L", (LABEL_WIDTH + per_class * step, CONTACT_GAP + len(CLASSES) * step), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=18)
    for label, name in enumerate(CLASSES):
        top = CONTACT_GAP + label * step
        draw.text(
            (CONTACT_GAP * 2, top + step // 2), name, fill=CONTACT_INK, font=font, anchor="lm"
        )
        rows = torch.nonzero(faces.labels == label).flatten()[:per_class]
        for column, pixels in enumerate(faces.images[rows, 0].numpy()):
            face = Image.fromarray(pixels).resize(
                (SCALE * SIZE, SCALE * SIZE), Image.Resampling.BICUBIC
            )
            sheet.paste(face, (LABEL_WIDTH + column * step, top))
    return sheet
