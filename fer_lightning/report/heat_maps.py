"""Validation accuracy over two swept settings, a map for each value of the others."""

import itertools
import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lightning.figure_style import GRID, INK
from fer_lightning.report.sweeps import Configuration, Sweep, short, shown

PREFERRED = ("optim.lr", "optim.momentum")
MOST_MAPS = 12
ON_LIGHT, ON_DARK = "#111111", "#FEFEFE"  # text on a cell, in light and dark pages alike


def map_keys(sweep: Sweep) -> tuple[str, str, list[str]] | None:
    """The settings across and down, and all others; None if the sweep is no two-way grid."""
    keys = [key for key in sweep.keys if len(sweep.values(key)) > 1]
    keys.sort(
        key=lambda key: (key not in PREFERRED, PREFERRED.index(key) if key in PREFERRED else 0)
    )
    if len(keys) < 2 or len(sweep.configurations) < 4:
        return None
    across, down, *others = keys
    filled = len(sweep.configurations) / math.prod(len(sweep.values(key)) for key in keys)
    return (across, down, others) if filled > 0.5 else None  # settings that go together: no grid


def heat_maps(sweep: Sweep, across: str, down: str, others: list[str]) -> Figure:
    """Mean and spread of the best validation accuracy in every cell of a grid.

    Args:
        sweep: The grid.
        across: Setting of the columns.
        down: Setting of the rows.
        others: The settings that tell the maps apart.
    """
    maps = list(itertools.product(*(sweep.values(key) for key in others)))[:MOST_MAPS]
    R, C = len(sweep.values(down)), len(sweep.values(across))
    wide, tall = 0.8 + 0.72 * C, 0.75 + 0.42 * R
    columns = max(1, min(len(maps), int(9.6 / wide)))
    rows = math.ceil(len(maps) / columns)
    figure = Figure((columns * wide + 0.9, rows * tall + 0.2), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    lowest, highest = _limits(sweep)
    for axes in grid.flat[len(maps) :]:
        axes.set_axis_off()
    for axes, values in zip(grid.flat, maps, strict=False):
        fixed = dict(zip(others, values, strict=True))
        cells = _cells(sweep, across, down, fixed)
        _draw(axes, cells, (lowest, highest))
        axes.set_xticks(range(C), [shown(v) for v in sweep.values(across)])
        axes.set_yticks(range(R), [shown(v) for v in sweep.values(down)])
        axes.set_xlabel(short(across), size=8, color=INK)
        axes.set_ylabel(short(down), size=8, color=INK)
        title = ", ".join(f"{short(key)} {shown(value)}" for key, value in fixed.items())
        axes.set_title(title, size=8, color=INK, loc="left")
    scale = figure.colorbar(grid.flat[0].images[0], ax=grid, shrink=0.9, aspect=25, pad=0.02)
    scale.set_label("best validation accuracy, %", size=8, color=INK)
    scale.ax.tick_params(labelsize=7, colors=INK)
    scale.outline.set_visible(False)
    return figure


def _cells(
    sweep: Sweep, across: str, down: str, fixed: dict[str, Any]
) -> list[list[Configuration | None]]:
    """The configuration of every row and column, or None."""
    place = {
        (shown(c.values[down]), shown(c.values[across])): c
        for c in sweep.configurations
        if all(c.values[key] == value for key, value in fixed.items())
    }
    return [
        [place.get((shown(row), shown(column))) for column in sweep.values(across)]
        for row in sweep.values(down)
    ]


def _limits(sweep: Sweep) -> tuple[float, float]:
    spreads = [c.score("best", "val", "acc") for c in sweep.configurations]
    means = [100 * spread.mean for spread in spreads if spread]
    return (min(means), max(means)) if means else (0, 100)


def _draw(axes: Axes, cells: list[list[Configuration | None]], limits: tuple[float, float]) -> None:
    means = np.full((len(cells), len(cells[0])), np.nan)
    low, high = limits
    for i, j in np.ndindex(means.shape):
        configuration = cells[i][j]
        spread = configuration.score("best", "val", "acc") if configuration else None
        if spread is None:
            text, color = "none" if configuration else "", INK
        else:
            means[i, j] = 100 * spread.mean
            text = f"{100 * spread.mean:.1f}"
            text += "" if spread.std is None else f"\n±{100 * spread.std:.1f}"
            color = ON_LIGHT if means[i, j] > (low + high) / 2 else ON_DARK
        axes.text(j, i, text, ha="center", va="center", size=7.5, color=color)
    axes.imshow(means, cmap="cividis", vmin=low, vmax=max(high, low + 1e-6), aspect="auto")
    axes.tick_params(length=0, colors=INK, labelsize=8)
    axes.spines[:].set_color(GRID)
