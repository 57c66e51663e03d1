"""Curves of the mixtures: log-likelihood against iteration, error against components."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from fer_lightning.figure_style import BLUE, COLORS, GREEN, INK, VERMILION, plain
from fer_lightning.report.mixtures import MixtureRun

SPLITS = {"train": (BLUE, "o"), "val": (VERMILION, "s"), "test": (GREEN, "^")}
MOST_PANELS = 12


def likelihood_panels(runs: Sequence[tuple[str, MixtureRun]]) -> Figure:
    """The log-likelihoods of every start and restart, a panel for each titled run.

    The first step is far longer than all others, so each panel begins at the second iteration.
    """
    figure, panels = _panels(len(runs))
    for axes, (title, run) in zip(panels, runs, strict=True):
        for color, (start, restarts) in zip(COLORS, run.curves.items(), strict=False):
            best = int(np.argmax([curve[-1] for curve in restarts]))
            for i, curve in enumerate(restarts):
                strong = i == best
                steps = np.arange(1, len(curve) + 1)[1:]
                axes.plot(
                    steps, curve[1:], color=color, linewidth=1.8 if strong else 0.7,
                    alpha=1 if strong else 0.5, label=start if strong else None,
                    marker="o" if strong else None, markersize=3,
                )  # fmt: skip
        plain(axes, "iteration", "log-likelihood, summed")
        axes.set_title(title, size=8, color=INK, loc="left")
        axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, title="start", title_fontsize=8)
    return figure


def error_panels(runs: Sequence[tuple[str, MixtureRun]]) -> Figure:
    """The error of every split against the number of components, a panel for each titled run."""
    figure, panels = _panels(len(runs))
    for axes, (title, run) in zip(panels, runs, strict=True):
        errors = run.errors
        for split, (color, marker) in SPLITS.items():
            axes.plot(
                errors["n_components"], errors[split], color=color, marker=marker, label=split
            )
        plain(axes, "components of each class", "error")
        axes.set_title(title, size=8, color=INK, loc="left")
        axes.set_xticks(errors["n_components"])
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _panels(n: int) -> tuple[Figure, list]:
    columns = min(n, 3)
    rows = -(-n // columns)
    figure = Figure((0.2 + (4.6 if columns == 1 else 3.4) * columns, 2.8 * rows),
                    layout="constrained")  # fmt: skip
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[n:]:
        axes.set_axis_off()
    for axes in grid.flat:
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
    return figure, list(grid.flat[:n])
