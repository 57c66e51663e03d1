"""Races by halving as funnels."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from fer_lightning.plots import BLUE, INK
from fer_lightning.report.searches.rungs import Rung

MOST_COLUMNS = 5
# Inches across: the names of rungs; the widest bar of one race, and of several; what is written
# beside a bar. Down: the title of a race; from rung to rung; a bar; and the least width of a bar.
SIDE, WIDE, LESS_WIDE, BESIDE = 0.75, 3.0, 1.05, 0.88
HEAD, STEP, TALL, NARROWEST = 0.3, 0.46, 0.3, 0.015


def funnels(races: Sequence[Sequence[Rung]]) -> Figure:
    """Draw the runs that came to each rung as bars, a funnel for each race.

    Args:
        races: The rungs of each race, the first ones first; rungs of all stand at their epochs.
    """
    epochs = sorted({rung.epoch for race in races for rung in race})
    columns, wide = min(MOST_COLUMNS, len(races)), WIDE if len(races) == 1 else LESS_WIDE
    rows, head = math.ceil(len(races) / columns), 0.0 if len(races) == 1 else HEAD
    tall = head + STEP * len(epochs)
    width, height = SIDE + columns * (wide + BESIDE), rows * tall
    figure = Figure((width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    most = max(rung.n_runs for race in races for rung in race)
    for i, race in enumerate(races):
        row, column = divmod(i, columns)
        middle, top = SIDE + column * (wide + BESIDE) + wide / 2, row * tall + head
        places = {epoch: top + STEP * (j + 0.5) for j, epoch in enumerate(epochs)}
        if len(races) > 1:
            axes.text(middle, top - 0.1, f"bracket {i + 1}", size=8.5, color=INK, ha="center")
        for epoch, y in places.items() if column == 0 else ():
            axes.text(0.05, y, f"epoch {epoch}", size=8, color=INK, va="center")
        _draw(axes, race, middle, places, wide / most)
    return figure


def _draw(
    axes: Axes, race: Sequence[Rung], middle: float, places: dict[int, float], scale: float
) -> None:
    """Draw a race.

    Args:
        axes: In inches.
        race: Its rungs.
        middle: The middle of its bars.
        places: The middle of the bar of each epoch.
        scale: The width of a bar for each run.
    """
    before: tuple[float, float] | None = None
    for rung in race:
        y, half = places[rung.epoch], max(rung.n_runs * scale, NARROWEST) / 2
        top, bottom = y - TALL / 2, y + TALL / 2
        axes.add_patch(Rectangle((middle - half, top), 2 * half, TALL, facecolor=BLUE, linewidth=0))
        if before:
            edge, above = before
            sides = [(middle - edge, above), (middle + edge, above)]
            sides += [(middle + half, top), (middle - half, top)]
            axes.add_patch(Polygon(sides, facecolor=BLUE, alpha=0.22, linewidth=0))
        before = half, bottom
        text = f"{rung.n_runs} run" + "s" * (rung.n_runs != 1)
        text += "" if rung.best is None else f"\nbest {100 * rung.best:.1f} %"
        beside = middle + max(half, 0.12) + 0.07
        axes.text(beside, y, text, size=7.5, color=INK, va="center", linespacing=1.15)
