"""Vector images from matplotlib, made small, and in the page's light and dark."""

import io
import re

from matplotlib.figure import Figure

from fer_lightning.figure_style import BLUE, GRID, INK, VERMILION

# Colours that a dark page needs otherwise: the name of a variable, in light and in dark.
SCHEME = {
    INK: ("ink", INK, "#D8D8DC"),
    "#000000": ("ink", INK, "#D8D8DC"),
    GRID: ("grid", GRID, "#3A3A42"),
    BLUE: ("blue", BLUE, "#56B4E9"),
    VERMILION: ("vermilion", VERMILION, "#F0803C"),
}


def svg_of(figure: Figure) -> str:
    """A figure as an SVG image that follows the light and dark of the system."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()
    svg = _short(svg[svg.index("<svg") :])
    for color, (name, _, _) in SCHEME.items():
        svg = svg.replace(color.lower(), f"var(--{name})")
    svg, classes = _classes(svg)
    light, dark = (
        "".join(f"--{row[0]}:{row[column]};" for row in SCHEME.values()) for column in (1, 2)
    )
    style = f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}{classes}"
    return svg.replace("<defs>", f"<style>{style}</style><defs>", 1)


def _short(svg: str) -> str:
    """Without what is not seen: names of groups, line breaks, less than a tenth of a point."""
    svg = re.sub(r'(?<=<g) id="[^"]*"|\n *(?=<)', "", svg)
    return re.sub(r' d="[^"]+"', lambda path: _short_path(path[0]), svg)


def _short_path(path: str) -> str:
    path = re.sub(r"(\.\d)\d+", r"\1", path.replace("\n", ""))
    return re.sub(r"(?<=\d) L (?=[\d.-])", " ", path)  # lines follow lines without being told


def _classes(svg: str) -> tuple[str, str]:
    """The image with a class in the place of each style, and these classes."""
    names: dict[str, str] = {}

    def named(style: re.Match[str]) -> str:
        return f' class="{names.setdefault(style[1], f"s{len(names)}")}"'

    svg = re.sub(r' style="([^"]*)"', named, svg)
    return svg, "".join(f".{name}{{{style}}}" for style, name in names.items())
