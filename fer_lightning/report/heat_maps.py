"""Validation accuracy over two swept settings, a map for each value of the others."""

import itertools
import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lightning.figure_style import GRID, INK
from fer_lightning.report.grids import Grid
from fer_lightning.report.setting_values import short, shown
from fer_lightning.report.sweeps import Configuration, Sweep

MOST_MAPS = 12
ON_LIGHT, ON_DARK = "#111111", "#FEFEFE"  # text on a cell, in light and dark pages alike


def heat_maps(sweep: Sweep, grid: Grid) -> Figure:
    """Mean and spread of the best validation accuracy in every cell of a grid.

    Args:
        sweep: What is shown.
        grid: How its settings lie on paper.
    """
    maps = list(itertools.product(*(sweep.values(key) for key in grid.others)))[:MOST_MAPS]
    R, C = len(sweep.values(grid.down)), len(sweep.values(grid.across))
    wide, tall = 0.8 + 0.72 * C, 0.75 + 0.42 * R
    columns = max(1, min(len(maps), int(9.6 / wide)))
    rows = math.ceil(len(maps) / columns)
    figure = Figure((columns * wide + 0.9, rows * tall + 0.2), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False)
    lowest, highest = _limits(sweep)
    for axes in places.flat[len(maps) :]:
        axes.set_axis_off()
    for axes, values in zip(places.flat, maps, strict=False):
        fixed = dict(zip(grid.others, values, strict=True))
        _draw(axes, _cells(sweep, grid, fixed), (lowest, highest))
        axes.set_xticks(range(C), [shown(v) for v in sweep.values(grid.across)])
        axes.set_yticks(range(R), [shown(v) for v in sweep.values(grid.down)])
        axes.set_xlabel(short(grid.across), size=8, color=INK)
        axes.set_ylabel(short(grid.down), size=8, color=INK)
        title = ", ".join(f"{short(key)} {shown(value)}" for key, value in fixed.items())
        axes.set_title(title, size=8, color=INK, loc="left")
    scale = figure.colorbar(places.flat[0].images[0], ax=places, shrink=0.9, aspect=25, pad=0.02)
    scale.set_label("accuracy, %", size=8, color=INK)
    scale.ax.tick_params(labelsize=7, colors=INK)
    scale.outline.set_visible(False)
    return figure


def _cells(sweep: Sweep, grid: Grid, fixed: dict[str, Any]) -> list[list[Configuration | None]]:
    """The configuration of every row and column, or None."""
    place = {
        (shown(c.values[grid.down]), shown(c.values[grid.across])): c
        for c in sweep.configurations
        if all(c.values[key] == value for key, value in fixed.items())
    }
    return [
        [place.get((shown(row), shown(column))) for column in sweep.values(grid.across)]
        for row in sweep.values(grid.down)
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
