"""Every sweep: its ranking, its curves, and maps of its grid."""

import itertools
import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lightning.files import readable
from fer_lightning.plots import GRID, INK
from fer_lightning.report.collection import Collection
from fer_lightning.report.curve_figures import curve_panels, like_long
from fer_lightning.report.markup import (
    Cell,
    Markup,
    Section,
    element,
    figure,
    figure_box,
    joined,
    paragraph,
    setting,
    spread,
    table,
)
from fer_lightning.report.pictures import figure_image
from fer_lightning.report.runs import counted
from fer_lightning.report.searches.section import search_boxes
from fer_lightning.report.sweeps import (
    Configuration,
    Grid,
    Spread,
    Sweep,
    arranged,
    grid_of,
    short,
    shown,
)
from fer_lightning.runs import DEFINITION

MOST_PANELS = 75
ALONE = "Runs outside sweeps"


def sweep_section(found: Collection) -> Section:
    """Return the section with all sweeps, and then the runs that are in none."""
    parts = [(f"sweep-{i}", _name(sweep)) for i, sweep in enumerate(found.sweeps, 1)]
    shown_sweeps = [
        element("section", element("h3", name), _facts(sweep), _ranking(sweep),
                *search_boxes(sweep), *_figures(sweep), id=id_)
        for (id_, name), sweep in zip(parts, found.sweeps, strict=True)
    ]  # fmt: skip
    content = joined([paragraph(DEFINITION, class_="note"), *shown_sweeps])
    return Section("sweeps", "Sweeps: ranking, convergence and curves", content, tuple(parts))


def _name(sweep: Sweep) -> str:
    return ALONE if sweep.path is None else readable(sweep.path.name)


def _facts(sweep: Sweep) -> Markup:
    """Return a paragraph on a sweep: its runs, the settings they vary, and the best of them."""
    runs = sweep.runs
    text = f"{len(runs)} runs ({counted(runs)})"
    if sweep.path is not None:
        varied = ", ".join(f"{key} ({len(sweep.values(key))})" for key in sweep.keys)
        text += f", varying {varied}" if varied else ""
        text += f"; mean ± standard deviation over {', '.join(sweep.repeated)}" * bool(
            sweep.repeated
        )
    best = sweep.ranking()[0]
    acc = best.score("best", "val", "acc")
    if acc is None:
        return paragraph(f"{text}. No run has a validation accuracy.")
    near = Spread.of(run.convergence.near_best for run in best.runs)
    name = best.label or "this configuration"
    return paragraph(
        f"{text}. Best on validation: ",
        element("strong", f"{name}: {spread(acc, '.1f', 100).text} %"),
        f", within one point of it from epoch {spread(near, '.0f').text}." if near else ".",
    )


def _ranking(sweep: Sweep) -> Markup:
    columns = [
        "Rank", *(["Run"] if _is_of_runs(sweep) else []), *map(short, sweep.keys), "Status",
        "Val acc, %", "Val CE", "Best epoch", "Within one point", "CE turns", "Test acc, %",
        "Test CE", "Train acc, %", "Last val acc, %", "Last val CE", "Seconds",
    ]  # fmt: skip
    ranked = enumerate(sweep.ranking(), 1)
    return table(columns, [_row(rank, *_names(sweep, of), of=of) for rank, of in ranked])


def _is_of_runs(sweep: Sweep) -> bool:
    """Return whether each configuration is one run."""
    return all(len(configuration.runs) == 1 for configuration in sweep.configurations)


def _names(sweep: Sweep, of: Configuration) -> list[Cell | str]:
    """Return the cells that name a configuration."""
    number = figure(of.runs[0].folder.number, "d")
    run = [of.name or number] if _is_of_runs(sweep) else []
    return [*run, *map(setting, of.values.values())]


def _row(rank: int, *names: Cell | str, of: Configuration) -> list[Cell | str]:
    status = counted(of.runs) if len(of.runs) > 1 else of.runs[0].status
    best, near, turns = (
        Spread.of(getattr(run.convergence, name) for run in of.runs)
        for name in ("best", "near_best", "ce_turns")
    )
    turned = spread(turns, ".0f")
    if turns and turns.n < len(of.runs):
        turned = Cell(f"{turned.text} ({turns.n} of {len(of.runs)})", turns.mean)
    return [
        figure(rank, "d"),
        *names,
        status,
        spread(of.score("best", "val", "acc"), ".1f", 100),
        spread(of.score("best", "val", "ce"), ".3f"),
        spread(best, ".0f"),
        spread(near, ".0f"),
        turned,
        spread(of.score("best", "test", "acc"), ".1f", 100),
        spread(of.score("best", "test", "ce"), ".3f"),
        spread(of.score("best", "train", "acc"), ".1f", 100),
        spread(of.score("final", "val", "acc"), ".1f", 100),
        spread(of.score("final", "val", "ce"), ".3f"),
        spread(Spread.of(run.seconds for run in of.runs), ".1f"),
    ]


def _figures(sweep: Sweep) -> list[Markup]:
    """Return the curves of cross-entropy and accuracy, and heat maps if the sweep is a grid."""
    panels, columns = arranged(sweep, MOST_PANELS)
    n, said = len(sweep.configurations), ""
    if len(panels) < n:
        said = f" Of {n} configurations, the {len(panels)} best on validation are shown."
    if any(len(configuration.runs) > 1 for configuration in panels):
        said += " Each line is one run; a panel holds all seeds and folds of a configuration."
    if not like_long(panels):
        said += " Panels have epochs of their own, as some runs are far longer than others."
    captions = {
        "ce": "Cross-entropy of every epoch. Jumps are cut off at the top of their panel.",
        "acc": "Accuracy of every epoch.",
    }
    boxes = []
    for measure, caption in captions.items():
        image = figure_image(curve_panels(panels, measure, columns), caption)
        boxes.append(figure_box(image, caption + said))
    grid = grid_of(sweep)
    if grid is None:
        return boxes
    caption = "Best validation accuracy in percent, with the standard deviation of repeated cells."
    if math.prod(len(sweep.values(key)) for key in grid.others) > MOST_MAPS:
        caption += f" The first {MOST_MAPS} maps are shown."
    return [*boxes, figure_box(figure_image(heat_maps(sweep, grid), caption), caption)]


MOST_MAPS = 12
ON_LIGHT, ON_DARK = "#111111", "#FEFEFE"  # text on a cell, in light and dark pages alike


def heat_maps(sweep: Sweep, grid: Grid) -> Figure:
    """Draw the mean and spread of the best validation accuracy in every cell of a grid.

    Args:
        sweep: The sweep.
        grid: Its settings as columns, rows and maps.
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
    """Return the configuration of every cell of a map, in rows, or None where there is none."""
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
