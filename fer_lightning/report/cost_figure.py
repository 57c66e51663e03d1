"""Accuracy against what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

from fer_lightning.figure_style import BLUE, COLORS, GREEN, INK, VERMILION, plain

MARKERS = {"mlp": (BLUE, "o"), "cnn": (VERMILION, "s"), "mixtures": (GREEN, "^")}


@dataclass(frozen=True)
class Cost:
    """What a run reached, and what it took.

    Attributes:
        kind: What was trained, such as mlp.
        acc: Best validation accuracy, in [0, 1].
        n_parameters: How many it has.
        seconds: How long its training took.
    """

    kind: str
    acc: float
    n_parameters: float | None
    seconds: float | None


def cost_figure(costs: Sequence[Cost]) -> Figure:
    """Best validation accuracy against the number of parameters, and against seconds."""
    figure = Figure((9.6, 3.6), layout="constrained")
    sides = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(sides, ("n_parameters", "seconds"), strict=True):
        for i, kind in enumerate(sorted({cost.kind for cost in costs})):
            color, marker = MARKERS.get(kind, (COLORS[i % len(COLORS)], "D"))
            points = [(getattr(c, name), c.acc) for c in costs if c.kind == kind]
            known = [(x, y) for x, y in points if x]
            if known:
                axes.plot(
                    *zip(*known, strict=True), marker, color=color, label=kind,
                    markersize=5, alpha=0.7, markeredgewidth=0,
                )  # fmt: skip
        axes.set_xscale("log")
    _name(sides[0], "parameters", "best validation accuracy")
    _name(sides[1], "seconds of training", "")
    sides[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if sides[0].has_data():
        sides[0].legend(frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _name(axes: Axes, x: str, y: str) -> None:
    plain(axes, x, y)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.7g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
