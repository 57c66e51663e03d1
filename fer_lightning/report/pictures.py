"""Figures and pictures as parts of the page itself."""

import base64
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from PIL import Image

from fer_lightning.files import read_bytes
from fer_lightning.plots import BLUE, DPI, GRID, INK, VERMILION
from fer_lightning.report.markup import Markup, element

MAX_BYTES = 2**26  # of a picture that is read
LARGE = 300_000  # bytes of a picture that is embedded as it is
WIDEST = 1200  # pixels of one that is not


@contextmanager
def drawing() -> Iterator[None]:
    """Make matplotlib, within a `with` block, keep texts as text and dollar signs as they are."""
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
    """Return a figure as a vector image that follows the light or dark style of the page.

    Args:
        figure: The figure.
        alt: What it shows, for those who do not see it.
    """
    width, height = figure.get_size_inches()
    size = (round(96 * width), round(96 * height))
    return _image("image/svg+xml", svg_of(figure).encode(), alt, size, "figure")


def picture_image(path: Path, alt: str) -> Markup | None:
    """Return a picture from a run's folder as an image, or None if it cannot be read.

    A large picture is scaled down and reduced to fewer colours.

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


# From the worst to the best, on a light page and on a dark one: the best stands out on either.
_RAMPS = (
    ("#D3D8CF", "#A5D0BF", "#4BA3B7", "#23669F", "#172A63"),
    ("#38424C", "#285C6E", "#2C8FA0", "#78C8AC", "#F5F3B5"),
)


def _levels(anchors: Sequence[str], n: int = 16) -> list[str]:
    ramp = LinearSegmentedColormap.from_list("", list(anchors))
    return [to_hex(ramp(i / (n - 1))).upper() for i in range(n)]


LEVELS = _levels(_RAMPS[0])
PAPER, GREY = "#FFFFFF", "#8A8A92"

# Colours that differ on a dark page: the CSS variable, its value in light and in dark.
SCHEME = {
    INK: ("ink", INK, "#D8D8DC"),
    "#000000": ("ink", INK, "#D8D8DC"),
    GRID: ("grid", GRID, "#3A3A42"),
    BLUE: ("blue", BLUE, "#56B4E9"),
    VERMILION: ("vermilion", VERMILION, "#F0803C"),
    PAPER: ("paper", PAPER, "#17171A"),  # as in page.css
    **{
        light: (f"level{i}", light, dark)
        for i, (light, dark) in enumerate(zip(LEVELS, _levels(_RAMPS[1]), strict=True))
    },
}


def svg_of(figure: Figure) -> str:
    """Return a figure as an SVG image that follows the light or dark style of the system."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()
    svg = _short(svg[svg.index("<svg") :])
    used = {color: row for color, row in SCHEME.items() if color.lower() in svg}
    for color, (name, _, _) in used.items():
        svg = svg.replace(color.lower(), f"var(--{name})")
    svg, classes = _classes(svg)
    light, dark = (
        "".join(f"--{row[0]}:{row[column]};" for row in used.values()) for column in (1, 2)
    )
    style = f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}{classes}"
    return svg.replace("<defs>", f"<style>{style}</style><defs>", 1)


def _short(svg: str) -> str:
    """Return the SVG without what is not seen: group names, line breaks, digits below 0.1."""
    svg = re.sub(r'(?<=<g) id="[^"]*"|\n *(?=<)', "", svg)
    return re.sub(r' d="[^"]+"', lambda path: _short_path(path[0]), svg)


def _short_path(path: str) -> str:
    path = re.sub(r"(\.\d)\d+", r"\1", path.replace("\n", ""))
    return re.sub(r"(?<=\d) L (?=[\d.-])", " ", path)  # lines follow lines without being told


def _classes(svg: str) -> tuple[str, str]:
    """Return the SVG with CSS classes in place of inline styles, and these classes."""
    names: dict[str, str] = {}

    def named(style: re.Match[str]) -> str:
        return f' class="{names.setdefault(style[1], f"s{len(names)}")}"'

    svg = re.sub(r' style="([^"]*)"', named, svg)
    return svg, "".join(f".{name}{{{style}}}" for style, name in names.items())
