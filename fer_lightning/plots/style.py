"""How all figures look: axes without a box, and their pixels."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fer_lightning.plots.colors import GRID, INK

DPI = 144


def panel(title: str, x: str, y: str, width: float = 6.4, height: float = 4) -> tuple[Figure, Axes]:
    """Return a figure with one empty panel, and its axes.

    Args:
        title: Above it.
        x: Name of the horizontal axis.
        y: Name of the vertical axis.
        width: In inches.
        height: In inches.
    """
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, size=11, color=INK, loc="left")
    plain(axes, x, y)
    return figure, axes


def plain(axes: Axes, x: str, y: str) -> None:
    """Name the axes, remove their top and right border, and draw a light grid behind them."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8)


def pixels(figure: Figure) -> np.ndarray:
    """Render a figure to pixels, (height, width, 3) uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
