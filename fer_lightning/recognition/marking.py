"""Pictures with boxes around the faces, and bars of their probabilities beside them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer_lightning.plots import EXPRESSIONS
from fer_lightning.recognition.recogniser import Face

PANEL = (20, 20, 24, 190)
TEXT = "#FFFFFF"
N_BARS = 3  # the most probable classes


def annotated(pixels: np.ndarray, faces: Sequence[Face], scale: float = 1.0) -> np.ndarray:
    """Return a copy of a picture with its faces marked.

    Args:
        pixels: Red, green and blue, (H, W, 3), uint8.
        faces: The faces in it.
        scale: How much larger the picture is in which the boxes of the faces are.
    """
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image, "RGBA")
    # Sizes that can be read when the picture is looked at as a whole.
    unit = max(9, round(max(image.size) / 48))
    font = ImageFont.load_default(unit)
    boxes = [tuple(side / scale for side in face.box) for face in faces]
    for face, box in zip(faces, boxes, strict=True):
        color, width = EXPRESSIONS[face.expression], max(2, unit // 6)
        draw.rounded_rectangle(box, radius=unit // 2, outline=color, width=width)
    panels: list[tuple[float, float, float, float]] = []
    for face, box in zip(faces, boxes, strict=True):
        size = (unit * 9.5, unit * (1.35 * N_BARS + 0.5))
        place = _place(box, size, image.size, [*boxes, *panels])
        panels.append((*place, place[0] + size[0], place[1] + size[1]))
        _panel(draw, face, panels[-1], unit, font)
    return np.asarray(image)


def _panel(
    draw: ImageDraw.ImageDraw,
    face: Face,
    panel: tuple[float, float, float, float],
    unit: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Draw the bars of a face's most probable classes into a panel."""
    left, top, right, _ = panel
    draw.rounded_rectangle(panel, radius=unit // 2, fill=PANEL)
    surest = sorted(face.probabilities.items(), key=lambda pair: -pair[1])[:N_BARS]
    for i, (name, p) in enumerate(surest):
        y = top + unit * (0.4 + 1.35 * i)
        x, full = left + 0.4 * unit, right - left - 0.8 * unit
        bar = (x, y, x + max(full * p, 1), y + 1.15 * unit)
        draw.rectangle((x, y, x + full, y + 1.15 * unit), fill=(255, 255, 255, 28))
        draw.rectangle(bar, fill=EXPRESSIONS[name] + "AA")
        draw.text((x + 0.3 * unit, y + 0.5 * unit), name, TEXT, font, anchor="lm")
        draw.text((x + full - 0.2 * unit, y + 0.5 * unit), f"{p:.0%}", TEXT, font, anchor="rm")


def _place(
    box: Sequence[float],
    size: tuple[float, float],
    picture: tuple[int, int],
    taken: Sequence[Sequence[float]],
) -> tuple[float, float]:
    """Return the corner of a panel beside a box: in the picture, and where it covers least."""
    (width, height), (left, top, right, bottom) = size, box
    gap = 0.04 * width
    beside = [
        (right + gap, top),
        (left - width - gap, top),
        (left, bottom + gap),
        (left, top - height - gap),
        (right - width, bottom + gap),
    ]
    inside = [
        (min(max(x, 0), max(picture[0] - width, 0)), min(max(y, 0), max(picture[1] - height, 0)))
        for x, y in beside
    ]

    def covered(corner: tuple[float, float]) -> float:
        x, y = corner
        return sum(
            max(min(x + width, t[2]) - max(x, t[0]), 0)
            * max(min(y + height, t[3]) - max(y, t[1]), 0)
            for t in taken
        )

    return min(inside, key=covered)  # the first of those that cover as little
