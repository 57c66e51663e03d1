"""Curves of many runs as small multiples on shared axes."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fer_lightning.figure_style import BLUE, INK, VERMILION, plain
from fer_lightning.report.curves import thinned
from fer_lightning.report.runs import Run
from fer_lightning.report.sweeps import Configuration

CE_CEILING = 3 * math.log(7)  # thrice what guessing among seven classes costs
COLOR = {"train": BLUE, "val": VERMILION}
NAMES = {"ce": "cross-entropy, nats", "acc": "accuracy"}
MARKED = {"ce": "validation CE turns up", "acc": "within one point of its best"}
# Inches: of the figure, beside, above and below the panels; of a panel, and of a line of its title.
WIDTH, LEAST_WIDTH, SIDE, HEAD, FOOT = 10.6, 5.2, 0.6, 0.35, 0.5
TALL, LOW, TITLE, TICKS, CHARACTER = 1.5, 0.9, 0.12, 0.17, 0.056


def curve_panels(panels: Sequence[Configuration], measure: str, columns: int) -> Figure:
    """A panel for each configuration, with training and validation of all its runs.

    Args:
        panels: The configurations, row by row.
        measure: ce or acc.
        columns: Panels in a row.
    """
    alike = like_long(panels)
    width = max(LEAST_WIDTH, min(WIDTH, SIDE + 3.2 * columns))
    fitting = int((width - SIDE) / columns / CHARACTER)
    titles = [_lines(configuration.label, fitting) for configuration in panels]
    rows, between = math.ceil(len(panels) / columns), 0.1 + TITLE * max(map(len, titles))
    between += 0 if alike else TICKS
    figure, grid = _grid(rows, columns, width, between, measure, alike)
    for i, axes in enumerate(grid):
        if i >= len(panels):
            axes.set_axis_off()
            continue
        # with a height of its own, matplotlib need not search for one, which takes long
        axes.set_title("\n".join(titles[i]), size=7.5, color=INK, loc="left", y=1.0, pad=3)
        lowest = i + columns >= len(panels)
        _draw(axes, panels[i], measure)
        axes.tick_params(labelbottom=lowest or not alike, labelleft=i % columns == 0)
        if i == 0 or not alike:
            axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.set_xlim(0, _last_epoch(panels if alike else panels[i : i + 1]))
    grid[0].set_ylim(0, 1 if measure == "acc" else _highest(panels))
    grid[0].yaxis.set_major_locator(MaxNLocator(4))
    if measure == "acc":
        grid[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def _lines(label: str, fitting: int) -> list[str]:
    """A label on one line or two, broken where one setting ends and the next begins."""
    unbroken = label.replace(" ", "\N{NO-BREAK SPACE}").replace(",\N{NO-BREAK SPACE}", ", ")
    return textwrap.wrap(unbroken, fitting, max_lines=2, placeholder=" …")


def like_long(panels: Sequence[Configuration]) -> bool:
    """Whether all runs were to be trained for about as long, so that epochs can share an axis."""
    planned = [run.planned_epochs for panel in panels for run in panel.runs]
    return max(planned) <= 4 * min(planned)


def _grid(
    rows: int, columns: int, width: float, between: float, measure: str, alike: bool
) -> tuple[Figure, list[Axes]]:
    """A figure with its legend and labels, and its panels row by row."""
    tall = TALL if rows == 1 else LOW
    height = HEAD + rows * (tall + between) + FOOT
    figure = Figure((width, height))
    left, right = SIDE / width, 1 - 0.1 / width
    foot, head = FOOT / height, 1 - (HEAD + between) / height
    figure.subplots_adjust(left, foot, right, head, wspace=0.08, hspace=between / tall)
    grid = figure.subplots(rows, columns, sharex=alike, sharey=True, squeeze=False)
    figure.supylabel(NAMES[measure], x=0.06 / width, size=8, color=INK)
    figure.supxlabel("epoch", x=left, y=0.06 / height, size=8, color=INK, ha="left")
    _legend(figure, measure)
    return figure, list(grid.flat)


def _draw(axes: Axes, configuration: Configuration, measure: str) -> None:
    plain(axes, "", "")
    axes.tick_params(labelsize=7, bottom=False, left=False)
    line = 1.4 if len(configuration.runs) == 1 else 0.9
    for run in configuration.runs:
        for split, color in COLOR.items():
            if run.curves is not None:
                x, y = thinned(run.curves.epoch, run.curves.of(split, measure))
                axes.plot(x, y, color=color, linewidth=line)
        _mark(axes, run, measure)


def _mark(axes: Axes, run: Run, measure: str) -> None:
    at = run.convergence.ce_turns if measure == "ce" else run.convergence.near_best
    if run.curves is None or at is None:
        return
    y = run.curves.of("val", measure)[np.flatnonzero(run.curves.epoch == at)[:1]]
    axes.plot([at], y, "o", color=INK, markersize=5, fillstyle="none", markeredgewidth=1)


def _last_epoch(panels: Sequence[Configuration]) -> float:
    """Where the axis of epochs ends, with a little room where there is only one."""
    return max(2, 1.02 * max(run.n_epochs or 1 for panel in panels for run in panel.runs))


def _highest(panels: Sequence[Configuration]) -> float:
    """Where the axis of CE ends: above all but the jumps of single epochs, at most the ceiling."""
    curves = [run.curves for panel in panels for run in panel.runs if run.curves is not None]
    values = [c.of(split, "ce") for c in curves for split in COLOR]
    finite = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.empty(0)
    common = 1.15 * float(np.quantile(finite, 0.98)) if finite.size else 1.0
    return min(CE_CEILING, common) if common > 0 else 1.0


def _legend(figure: Figure, measure: str) -> None:
    names = {"train": "training", "val": "validation"}
    handles = [Line2D([], [], color=COLOR[split], label=name) for split, name in names.items()]
    circle = Line2D([], [], color=INK, marker="o", fillstyle="none", linewidth=0, markersize=5)
    circle.set_label(MARKED[measure])
    height = figure.get_figheight()
    figure.legend(
        handles=[*handles, circle], loc="upper left", ncols=3, frameon=False, fontsize=8,
        labelcolor=INK, bbox_to_anchor=(SIDE / figure.get_figwidth() - 0.01, 1 - 0.02 / height),
    )  # fmt: skip
