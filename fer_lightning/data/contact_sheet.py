"""A picture of some faces of each class."""

import torch
from PIL import Image, ImageDraw, ImageFont

from fer_lightning.data.faces import CLASSES, SIZE, Faces

SCALE = 2
GAP = 4
LABEL_WIDTH = 96
INK, PAPER = 40, 255


def contact_sheet(faces: Faces, per_class: int = 10) -> Image.Image:
    """The first faces of each class, a row per class, at twice their size.

    Args:
        faces: Where they are taken from, in their order.
        per_class: Faces in a row; a class with fewer leaves the rest of its row empty.
    """
    step = SCALE * SIZE + GAP
    sheet = Image.new("L", (LABEL_WIDTH + per_class * step, GAP + len(CLASSES) * step), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=18)
    for label, name in enumerate(CLASSES):
        top = GAP + label * step
        draw.text((GAP * 2, top + step // 2), name, fill=INK, font=font, anchor="lm")
        rows = torch.nonzero(faces.labels == label).flatten()[:per_class]
        for column, pixels in enumerate(faces.images[rows, 0].numpy()):
            face = Image.fromarray(pixels).resize(
                (SCALE * SIZE, SCALE * SIZE), Image.Resampling.BICUBIC
            )
            sheet.paste(face, (LABEL_WIDTH + column * step, top))
    return sheet
