"""The Pareto front of a search for several objectives."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lightning.plots import BLUE, INK, VERMILION, plain
from fer_lightning.report.runs import Run
from fer_lightning.report.searches.scale import plainly_logarithmic, scale_of
from fer_lightning.report.searches.search import ACCURACY, NAMES, objective
from fer_lightning.runs import Values
from fer_lightning.sweeps import DIRECTIONS, pareto

MANY = 100  # runs, from which on points are small
LABEL = 0.18, 0.13  # inches of a label that others keep away from
MOST_TOLD = 3  # runs that are equal
AWAY = 5  # points from a run to its label


def front_of(runs: Sequence[Run], names: Sequence[str]) -> tuple[list[Run], list[bool]]:
    """Return the runs that have all objectives, and for each whether none is better in all."""
    whole = [run for run in runs if all(objective(run, name) is not None for name in names)]
    values = [[objective(run, name) or 0.0 for name in names] for run in whole]
    return whole, pareto(values, names)


def front_scatter(runs: Sequence[Run], in_front: Sequence[bool], names: Sequence[str]) -> Figure:
    """Draw the first two objectives of runs, with the front marked and its runs numbered.

    Args:
        runs: At least one, all with these objectives.
        in_front: For each whether it is in the front of all objectives.
        names: The objectives; the first is drawn upwards, the second across.
    """
    figure = Figure((6.8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    y, x = (
        np.array([objective(run, name) for run in runs], dtype=np.float64) for name in names[:2]
    )
    front = np.array(in_front)
    plain(axes, NAMES[names[1]], NAMES[names[0]])
    for side, name, values in (("x", names[1], x), ("y", names[0], y)):
        if name != ACCURACY and scale_of(values.tolist()).kind == "log":
            plainly_logarithmic(axes, side)
        elif name == "n_parameters":
            getattr(axes, f"{side}axis").set_major_formatter("{x:,.0f}")
    size = 3.0 if len(runs) > MANY else 5.0
    axes.plot(x[~front], y[~front], "o", color=BLUE, alpha=0.6, markersize=size,
              markeredgewidth=0, label="other runs")  # fmt: skip
    order = np.argsort(x[front], kind="stable")
    if len(names) == 2:
        step = "steps-post" if DIRECTIONS[names[1]] == "minimize" else "steps-pre"
        axes.plot(x[front][order], y[front][order], color=VERMILION, linewidth=1, drawstyle=step)
    axes.plot(x[front], y[front], "o", color=VERMILION, markersize=5.5, label="Pareto front")
    axes.margins(0.1)
    named: dict[tuple[float, float], list[int]] = {}
    for point, run, is_in in zip(zip(x, y, strict=True), runs, in_front, strict=True):
        if is_in:
            named.setdefault(point, []).append(run.folder.number)
    _label(axes, named, names)
    axes.xaxis.label.set_fontsize(8.5)
    axes.yaxis.label.set_fontsize(8.5)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _label(
    axes: Axes, named: Mapping[tuple[float, float], Sequence[int]], names: Sequence[str]
) -> None:
    """Write the numbers of the runs at points, on the side of what is better, if there is room."""
    up = 1 if DIRECTIONS[names[0]] == "maximize" else -1
    right = 1 if DIRECTIONS[names[1]] == "maximize" else -1
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    taken: list[Values] = []
    for point, numbers in sorted(named.items()):
        place = axes.transData.transform(point) / figure.dpi
        if any((np.abs(place - other) < LABEL).all() for other in taken):
            continue
        taken.append(place)
        axes.annotate(
            _told(numbers), point, (right * AWAY, up * AWAY), textcoords="offset points",
            size=8, color=INK, ha="left" if right > 0 else "right",
            va="bottom" if up > 0 else "top",
        )  # fmt: skip


def _told(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:MOST_TOLD])) + ", …" * (len(numbers) > MOST_TOLD)
