"""Figures and pictures as parts of the page itself."""

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from fer_lightning.figure_style import BLUE, GRID, INK, VERMILION
from fer_lightning.report.markup import Markup, element

WIDEST = 1400  # pixels of an embedded picture
# Colours that a dark page needs otherwise: the CSS variable, in light and in dark.
SCHEME = {
    INK: ("ink", INK, "#D8D8DC"),
    GRID: ("grid", GRID, "#3A3A42"),
    BLUE: ("blue", BLUE, "#56B4E9"),
    VERMILION: ("vermilion", VERMILION, "#F0803C"),
}


@contextmanager
def drawing() -> Iterator[None]:
    """Within it, figures are made whose texts stay texts, dollar signs included."""
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "report",
        "font.family": ["DejaVu Sans"],
        "text.parse_math": False,
    }
    with mpl.rc_context(style):
        yield


def figure_image(figure: Figure, alt: str) -> Markup:
    """A figure as a vector image that follows the light and dark of the page.

    Args:
        figure: The figure.
        alt: What it shows, for those who do not see it.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()
    svg = re.sub(r' d="[^"]+"', lambda path: _rounded(path[0]), svg)
    for color, (name, _, _) in SCHEME.items():
        svg = svg.replace(color.lower(), f"var(--{name})")
    light, dark = (
        "".join(f"--{row[0]}:{row[column]};" for row in SCHEME.values()) for column in (1, 2)
    )
    style = f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
    svg = svg[svg.index("<svg") :].replace("<defs>", f"<style>{style}</style><defs>", 1)
    inches = figure.get_size_inches()
    return _image("image/svg+xml", svg.encode(), alt, *(round(96 * inch) for inch in inches))


def picture_image(path: Path, alt: str) -> Markup | None:
    """A picture that a run left, made smaller where it is very large; None without a readable one.

    Args:
        path: The file.
        alt: What it shows.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.thumbnail((WIDEST, 4 * WIDEST))
            out = io.BytesIO()
            picture.save(out, "PNG", optimize=True)
            return _image("image/png", out.getvalue(), alt, *picture.size, class_="paper")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _image(
    kind: str, content: bytes, alt: str, width: int, height: int, class_: str = "figure"
) -> Markup:
    data = base64.b64encode(content).decode()
    return element(
        "img", src=f"data:{kind};base64,{data}", alt=alt, width=width, height=height,
        class_=class_, decoding="async",
    )  # fmt: skip


def _rounded(path: str) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", path)
