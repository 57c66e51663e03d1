"""Figures and pictures as parts of the page itself."""

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from fer_lightning.bounded_files import read_bytes
from fer_lightning.figure_style import DPI
from fer_lightning.report.markup import Markup, element
from fer_lightning.report.svg import svg_of

MAX_BYTES = 2**26  # of a picture that is read
LARGE = 300_000  # bytes of a picture that is embedded as it is
WIDEST = 1200  # pixels of one that is not


@contextmanager
def drawing() -> Iterator[None]:
    """Within it, figures are made whose texts stay texts, dollar signs included."""
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "report",
        "font.family": ["DejaVu Sans"],
        "text.parse_math": False,
    }
    with mpl.rc_context(style), warnings.catch_warnings():
        # the reader's browser has other fonts
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        yield


def figure_image(figure: Figure, alt: str) -> Markup:
    """A figure as a vector image that follows the light and dark of the page.

    Args:
        figure: The figure.
        alt: What it shows, for those who do not see it.
    """
    width, height = figure.get_size_inches()
    size = (round(96 * width), round(96 * height))
    return _image("image/svg+xml", svg_of(figure).encode(), alt, size, "figure")


def picture_image(path: Path, alt: str) -> Markup | None:
    """A picture that a run left, in fewer colours where it is large; None without a readable one.

    Args:
        path: The file.
        alt: What it shows.
    """
    try:
        content = read_bytes(path, MAX_BYTES)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            picture.load()
            if len(content) > LARGE:
                content = _smaller(picture)
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    size = (round(96 * width / DPI), round(96 * height / DPI))
    return _image("image/png", content, alt, size, "paper")


def _smaller(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    shrunk = picture.convert("RGB")
    shrunk.thumbnail((WIDEST, 4 * WIDEST))
    shrunk.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def _image(kind: str, content: bytes, alt: str, size: tuple[int, int], class_: str) -> Markup:
    data = base64.b64encode(content).decode()
    return element(
        "img", src=f"data:{kind};base64,{data}", alt=alt, width=size[0], height=size[1],
        class_=class_, decoding="async",
    )  # fmt: skip
