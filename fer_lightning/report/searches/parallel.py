"""Parallel coordinates: every run as a line through its settings to its validation accuracy."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fer_lightning.files import readable
from fer_lightning.plots import INK
from fer_lightning.report.pictures import LEVELS, PAPER
from fer_lightning.report.runs import Run
from fer_lightning.report.searches.scale import Scale, scale_of
from fer_lightning.report.searches.search import ACCURACY, objective
from fer_lightning.report.sweeps import short
from fer_lightning.runs import Values

BAND = 0.55  # of the distance between two values, over which the runs of each are spread
BAR = 0.06  # width of the colour bar, in distances of axes
HEAD = 0.05  # from the axes to their titles, in heights of axes
MANY = 100  # lines, from which on they are thin
TYPICAL = 0.32  # place of the median run in the scale of colours, so that the best stand out
WRAP = 18  # characters of a line of a title

Tick = tuple[float, str]


def parallel_coordinates(
    runs: Sequence[Run], keys: Sequence[str], logarithmic: Mapping[str, bool]
) -> Figure:
    """Draw runs as lines, coloured by their best validation accuracy, the best on top.

    Args:
        runs: At least one, all with a validation accuracy.
        keys: The settings that become axes.
        logarithmic: Of the settings with an interval, whether it was logarithmic.
    """
    acc = np.array([objective(run, ACCURACY) for run in runs], dtype=np.float64)
    order = np.argsort(acc, kind="stable")
    runs, acc = [runs[i] for i in order], acc[order]
    merit = (acc - acc[0]) / (acc[-1] - acc[0]) if acc[-1] > acc[0] else np.full(len(acc), 0.5)
    bend = _bend(merit)
    axes = _sheet(len(keys))
    columns = [merit]
    for x, key in enumerate(keys):
        values = [run.settings.get(key) for run in runs]
        scale = scale_of(values, logarithmic.get(key))
        column, edge = _spread(np.array([scale.place(value) for value in values]))
        columns.insert(-1, column)
        ticks = [(edge + (1 - 2 * edge) * place, name) for place, name in scale.ticks()]
        _draw_axis(axes, x, _title(key, scale), ticks)
    _draw_lines(axes, np.stack(columns, -1), merit**bend)
    _draw_bar(axes, len(keys), bend, scale_of([*acc], logarithmic=False))
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def _bend(merit: Values) -> float:
    """Return the power of the merit, in [0, 1], that is the colour of a run."""
    middle = float(np.clip(np.median(merit), 1e-3, 1 - 1e-3))
    return float(np.clip(math.log(TYPICAL) / math.log(middle), 1, 8))


def _sheet(n: int) -> Axes:
    """Return axes on which n settings and the accuracy stand a unit apart, 0 to 1 high."""
    width = max(5.2, min(10.6, 1.6 + 1.9 * n))
    unit = (width - 1.35) / n  # inches
    figure = Figure((width, 4.0))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.85 / unit, n + 0.5 / unit)
    axes.set_ylim(-0.04, 1 + 3 * HEAD)
    axes.set_axis_off()
    return axes


def _spread(places: Values) -> tuple[Values, float]:
    """Return places with runs of the same value side by side, the better higher, so all are seen.

    Args:
        places: Of all runs, from the worst to the best, in [0, 1].

    Returns:
        The places, in [0, 1], and where the value that was at 0 is now.
    """
    different, group, counts = np.unique(places, return_inverse=True, return_counts=True)
    if len(different) > len(places) / 3 or len(different) < 2:
        return places, 0.0
    rank = np.zeros(len(places))
    for value, n in enumerate(counts):
        rank[group == value] = (np.arange(n) - (n - 1) / 2) / counts.max()  # as wide as it is often
    band = BAND * min(1.0, len(places) / MANY) * float(np.diff(different).min())
    edge = band / 2 / (1 + band)
    return edge + (1 - 2 * edge) * (places + band * rank), edge


def _draw_lines(axes: Axes, points: Values, level: Values) -> None:
    """Draw lines through points, (runs, axes), coloured by levels in [0, 1]."""
    few = len(points) <= MANY
    widths = 1.0 + 0.9 * level if few else 0.5 + 1.2 * level
    across = np.arange(points.shape[1], dtype=np.float64)
    lines = LineCollection(
        [np.stack([across, line], -1) for line in points],
        colors=[LEVELS[round(i * (len(LEVELS) - 1))] for i in level],
        linewidths=widths.round(1).tolist(),
        alpha=(0.9 if few else 0.5 + 0.45 * level.round(1)),
    )
    axes.add_collection(lines)


def _draw_axis(axes: Axes, x: float, title: str, ticks: Sequence[Tick], side: str = "left") -> None:
    """Draw an axis with the names of its ticks to its left, or to the right of the colour bar."""
    ground = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    right = BAR if side == "right" else 0.0
    away = -0.03 if side == "left" else BAR + 0.03
    ends = (x - 0.012, x) if side == "left" else (x + right, x + right + 0.012)
    axes.plot([x, x], [0, 1], color=INK, linewidth=0.9, zorder=3)
    for y, name in ticks:
        axes.plot(ends, [y, y], color=INK, linewidth=0.9, zorder=3)
        axes.text(x + away, y, readable(name), size=7.5, color=INK, va="center", bbox=ground,
                  ha="right" if side == "left" else "left", zorder=4)  # fmt: skip
    axes.text(x, 1 + HEAD, title, size=8.5, color=INK, ha="center", va="bottom", linespacing=1.1)


def _draw_bar(axes: Axes, x: float, bend: float, scale: Scale) -> None:
    """Draw the axis of accuracy, which is the colour bar."""
    edges = (np.arange(len(LEVELS) + 1) - 0.5) / (len(LEVELS) - 1)
    edges = edges.clip(0, 1) ** (1 / bend)
    for color, low in zip(LEVELS, edges[:-1], strict=True):  # each hides the upper part of the last
        axes.add_patch(Rectangle((x, low), BAR, 1 - low, facecolor=color, linewidth=0))
    axes.add_patch(Rectangle((x, 0), BAR, 1, fill=False, edgecolor=INK, linewidth=0.6))
    _draw_axis(axes, x, "val acc, %", scale.ticks(most_named=1), side="right")


def _title(key: str, scale: Scale) -> str:
    title = short(key) + (" (log)" if scale.kind == "log" else "")
    return "\n".join(textwrap.wrap(title, WRAP, max_lines=2, placeholder=" …"))
