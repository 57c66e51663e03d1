"""The best run so far, against the number of runs and against the time that they took."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lightning.plots import BLUE, INK, VERMILION, plain
from fer_lightning.report.pictures import GREY
from fer_lightning.report.runs import Run
from fer_lightning.report.searches.scale import plainly_logarithmic, scale_of
from fer_lightning.report.searches.search import ACCURACY, NAMES, objective
from fer_lightning.runs import Values
from fer_lightning.sweeps import DIRECTIONS

UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
MANY = 100  # points, from which on they are small


def progress(runs: Sequence[Run], name: str) -> Figure:
    """Draw an objective of every run, and the best so far.

    Args:
        runs: In the order in which they ended; one at least has the objective.
        name: Of the objective.
    """
    figure = Figure((10.6, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    values = np.array([objective(run, name) for run in runs], dtype=np.float64)
    passed = np.cumsum([run.seconds or 0 for run in runs])
    unit, seconds = next((u for u in UNITS if passed[-1] >= 2 * u[1]), UNITS[-1])
    _draw(left, np.arange(1.0, len(runs) + 1), values, runs, name)
    _draw(right, passed / seconds, values, runs, name)
    _name_best(left, values, runs, name)
    for axes, x, y in ((left, "runs that have ended", NAMES[name]), (right, unit, "")):
        plain(axes, x, y)
        axes.xaxis.label.set_size(8)
        axes.yaxis.label.set_size(8)
    right.set_xlabel(f"{unit} of training, of all runs together", size=8)
    left.xaxis.get_major_locator().set_params(integer=True)
    known = values[np.isfinite(values)]
    if name != ACCURACY and scale_of(known.tolist()).kind == "log":
        plainly_logarithmic(left, "y")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=8,
        labelcolor=INK, handletextpad=0.5,
    )  # fmt: skip
    return figure


def _draw(axes: Axes, x: Values, y: Values, runs: Sequence[Run], name: str) -> None:
    """Draw the runs at x as points, and the best of them up to each x as steps."""
    known = np.isfinite(y)
    stopped = np.array([run.was_given_up for run in runs])
    size = 3.0 if len(runs) > MANY else 5.0
    style: dict[str, Any] = {
        "linestyle": "none",
        "markersize": size,
        "markeredgewidth": 0.9,
        "zorder": 3,
    }
    for fill, color, which, label in (
        ("none", GREY, known & stopped, "stopped early"),
        ("full", BLUE, known & ~stopped, "trained to the end"),
    ):
        if which.any():
            alpha = 0.7 if fill == "full" and len(runs) > MANY else 1
            axes.plot(x[which], y[which], "o", fillstyle=fill, color=color, label=label,
                      alpha=alpha, **style)  # fmt: skip
    if not known.all():  # at the edge of what is worse
        edge = 0.02 if DIRECTIONS[name] == "maximize" else 0.98
        at = np.full((~known).sum(), edge)
        axes.plot(x[~known], at, "x", color=GREY, label="without a figure", clip_on=False,
                  transform=axes.get_xaxis_transform(), **style)  # fmt: skip
    extreme = np.fmax if DIRECTIONS[name] == "maximize" else np.fmin
    best = extreme.accumulate(y)
    line = np.append(x, x[-1] * 1.01), np.append(best, best[-1])
    axes.plot(*line, drawstyle="steps-post", color=VERMILION, linewidth=1.6, label="best so far")


def _name_best(axes: Axes, values: Values, runs: Sequence[Run], name: str) -> None:
    """Write the number of the best run beside its point."""
    signed = values if DIRECTIONS[name] == "maximize" else -values
    at = int(np.nanargmax(signed))
    is_late = at > 0.7 * len(runs)
    unit = " %" if name == ACCURACY else ""
    above = 4 if DIRECTIONS[name] == "maximize" else -4
    axes.annotate(
        f"run {runs[at].folder.number}: {values[at]:.4g}{unit}", (at + 1, values[at]),
        (-4 if is_late else 4, above), textcoords="offset points", size=8, color=INK,
        ha="right" if is_late else "left", va="bottom" if above > 0 else "top",
    )  # fmt: skip
    axes.margins(y=0.13)
