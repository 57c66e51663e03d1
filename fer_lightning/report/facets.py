"""Small multiples as one drawing: matplotlib takes several times as long for panels of its own."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fer_lightning.plots import GRID, INK
from fer_lightning.runs import Values

# Inches: of the figure; beside, above and below its panels; of a panel; of a line of text.
WIDTH, LEAST_WIDTH, SIDE, HEAD, FOOT = 10.6, 5.2, 0.6, 0.35, 0.5
TALL, LOW, GAP, LINE, TICKS, CHARACTER = 1.5, 0.9, 0.14, 0.12, 0.17, 0.06


@dataclass(frozen=True)
class Facet:
    """A panel, whose axes begin at 0.

    Attributes:
        left: Its left edge, inches from the left edge of the figure.
        bottom: Its lower edge, inches from the lower edge of the figure.
        width: Inches.
        height: Inches.
        x_end: Where the horizontal axis ends.
        y_end: Where the vertical axis ends.
    """

    left: float
    bottom: float
    width: float
    height: float
    x_end: float
    y_end: float

    def place(self, x: Values, y: Values) -> Values:
        """Return data points in inches on the figure, (n, 2), with y clipped to the panel."""
        inside = np.clip(y, 0, self.y_end)
        across = self.left + x / self.x_end * self.width
        return np.stack([across, self.bottom + inside / self.y_end * self.height], -1)

    def ticks(self) -> tuple[Values, Values]:
        """Return round values for the ticks of both axes."""
        x = np.asarray(MaxNLocator(3, integer=True).tick_values(0, self.x_end))
        y = np.asarray(MaxNLocator(4).tick_values(0, self.y_end))
        return x[(x >= 0) & (x <= self.x_end)], y[(y >= 0) & (y <= self.y_end)]


def facets(
    n: int, columns: int, n_lines: int, x_ends: Sequence[float], y_end: float
) -> tuple[Axes, list[Facet]]:
    """Return the axes of an empty figure, and the places of its panels, row by row.

    Args:
        n: Number of panels.
        columns: Number of panels in a row.
        n_lines: Number of lines of their titles.
        x_ends: Where the horizontal axes end: one for all, or one for each, with its own ticks.
        y_end: Where the vertical axes end.

    Returns:
        Axes in inches on the whole figure, and the panels.
    """
    rows, figure_width = math.ceil(n / columns), sheet_width(columns)
    tall = TALL if rows == 1 else LOW
    step = tall + GAP + LINE * n_lines + (TICKS if len(x_ends) > 1 else 0)
    figure_height = HEAD + rows * step + FOOT
    across = (figure_width - SIDE - 0.05) / columns
    figure = Figure((figure_width, figure_height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, figure_width), ylim=(0, figure_height))
    axes.set_axis_off()
    places = [divmod(i, columns) for i in range(n)]
    return axes, [
        Facet(
            left=SIDE + column * across,
            bottom=figure_height - HEAD - row * step - (GAP + LINE * n_lines) - tall,
            width=across - 0.13,
            height=tall,
            x_end=x_ends[i % len(x_ends)],
            y_end=y_end,
        )
        for i, (row, column) in enumerate(places)
    ]


def sheet_width(columns: int) -> float:
    """Return the width of a figure with this number of panels in a row, in inches."""
    return max(LEAST_WIDTH, min(WIDTH, SIDE + 3.2 * columns))


def fitting_characters(columns: int) -> int:
    """Return the number of characters that fit on a line of a panel's title."""
    return int((sheet_width(columns) - SIDE) / columns / CHARACTER)


def draw_frames(axes: Axes, panels: Iterable[Facet]) -> None:
    """Draw the axes of all panels, and a light grid behind them."""
    grid, frames = [], []
    for facet in panels:
        xs, ys = facet.ticks()
        grid += [facet.place(np.array([x, x]), np.array([0, facet.y_end])) for x in xs]
        grid += [facet.place(np.array([0, facet.x_end]), np.array([y, y])) for y in ys]
        ends = np.array([0, 0, facet.x_end]), np.array([facet.y_end, 0, 0])
        frames.append(facet.place(*ends))
    draw_lines(axes, grid, color=GRID, width=0.6)
    draw_lines(axes, frames, color=INK, width=0.8)


def draw_lines(axes: Axes, lines: Sequence[Values], *, color: str, width: float) -> None:
    """Draw lines, (n, 2) in inches each, as one object; a line of one point becomes a dot."""
    dots = [line for line in lines if len(line) == 1]
    if dots:
        axes.plot(*np.concatenate(dots).T, ".", color=color, markersize=5)
    if lines:
        gap = np.full((1, 2), np.nan)
        joined = np.concatenate([part for line in lines for part in (line, gap)])
        axes.plot(*joined.T, color=color, linewidth=width)
