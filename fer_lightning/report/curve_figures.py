"""Curves of many runs as small multiples on shared axes."""

import math
import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fer_lightning.plots import BLUE, INK, VERMILION
from fer_lightning.report.facets import (
    SIDE,
    Facet,
    draw_frames,
    draw_lines,
    facets,
    fitting_characters,
)
from fer_lightning.report.runs import Run, counted
from fer_lightning.report.sweeps import Configuration
from fer_lightning.runs import Values, thinned

CE_CEILING = 3 * math.log(7)  # thrice what guessing among seven classes costs
COLOR = {"train": BLUE, "val": VERMILION}
NAMES = {"ce": "cross-entropy, nats", "acc": "accuracy"}
CUT = " …"
MARKED = {"ce": "validation CE turns up", "acc": "within one point of its best"}
TICK: dict[str, Callable[[float], str]] = {"ce": "{:g}".format, "acc": "{:.0%}".format}


def curve_panels(panels: Sequence[Configuration], measure: str, columns: int) -> Figure:
    """Draw a panel for each configuration, with training and validation curves of all its runs.

    Args:
        panels: The configurations, row by row.
        measure: ce or acc.
        columns: Number of panels in a row.
    """
    alike = like_long(panels)
    ends = [_last_epoch(panels)] if alike else [_last_epoch([panel]) for panel in panels]
    titles = _titles(panels, fitting_characters(columns))
    top = 1.0 if measure == "acc" else _highest(panels)
    axes, places = facets(len(panels), columns, max(map(len, titles)), ends, top)
    draw_frames(axes, places)
    for i, (facet, title) in enumerate(zip(places, titles, strict=True)):
        lowest = i + columns >= len(panels)
        _write(axes, facet, title, TICK[measure], (lowest or not alike, i % columns == 0))
        _note(axes, facet, panels[i])
    _draw_curves(axes, list(zip(places, panels, strict=True)), measure)
    _legend(axes, measure)
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def like_long(panels: Sequence[Configuration]) -> bool:
    """Return whether the planned epochs of all runs are similar enough to share an axis."""
    planned = [run.planned_epochs for panel in panels for run in panel.runs]
    return max(planned) <= 4 * min(planned)


def _titles(panels: Sequence[Configuration], fitting: int) -> list[list[str]]:
    """Return the lines of all titles; those of single runs begin with their numbers if any is cut.

    Args:
        panels: What they name.
        fitting: Number of characters that fit on a line.
    """
    titles = [_lines(panel.label, fitting) for panel in panels]
    is_cut = any(lines and lines[-1].endswith(CUT) for lines in titles)
    if not is_cut or any(panel.name or len(panel.runs) > 1 for panel in panels):
        return titles
    return [_lines(f"run {p.runs[0].folder.number}, {p.label}", fitting) for p in panels]


def _lines(label: str, fitting: int) -> list[str]:
    """Return a label as one line or two, broken only between settings."""
    unbroken = label.replace(" ", "\N{NO-BREAK SPACE}").replace(",\N{NO-BREAK SPACE}", ", ")
    return textwrap.wrap(unbroken, fitting, max_lines=2, placeholder=CUT)


def _write(
    axes: Axes,
    facet: Facet,
    title: Sequence[str],
    form: Callable[[float], str],
    outer: tuple[bool, bool],
) -> None:
    """Write a panel's title, and the numbers of its axes if it is at the lower or left edge."""
    top = facet.bottom + facet.height
    axes.text(facet.left, top + 0.05, "\n".join(title), size=7.5, color=INK, va="bottom")
    for x in facet.ticks()[0] if outer[0] else ():
        at = facet.left + x / facet.x_end * facet.width
        axes.text(at, facet.bottom - 0.05, f"{x:g}", size=7, color=INK, ha="center", va="top")
    for y in facet.ticks()[1] if outer[1] else ():
        at = facet.bottom + y / facet.y_end * facet.height
        axes.text(facet.left - 0.06, at, form(y), size=7, color=INK, ha="right", va="center")


def _note(axes: Axes, facet: Facet, panel: Configuration) -> None:
    """Write in a panel how many of its runs are not done, in the corner where curves seldom are."""
    left = [run for run in panel.runs if run.status != "done"]
    text = counted(left) if len(panel.runs) > 1 else "".join(run.status for run in left)
    corner = facet.left + facet.width - 0.02, facet.bottom + 0.04
    axes.text(*corner, text, size=7.5, color=INK, style="italic", ha="right", va="bottom")


def _draw_curves(axes: Axes, placed: Sequence[tuple[Facet, Configuration]], measure: str) -> None:
    width = 1.3 if all(len(panel.runs) == 1 for _, panel in placed) else 0.9
    runs = [(facet, run) for facet, panel in placed for run in panel.runs]
    for split, color in COLOR.items():
        lines = [
            facet.place(*thinned(run.curves.epoch, run.curves.of(split, measure)))
            for facet, run in runs
            if run.curves is not None
        ]
        draw_lines(axes, lines, color=color, width=width)
    marks = [point for facet, run in runs for point in _mark(facet, run, measure)]
    if marks:
        axes.plot(
            *np.array(marks).T, "o", color=INK, markersize=5, fillstyle="none", markeredgewidth=1
        )


def _mark(facet: Facet, run: Run, measure: str) -> Values:
    """Return the point at which a run converged, (1, 2), or no point, (0, 2)."""
    at = run.convergence.ce_turns if measure == "ce" else run.convergence.near_best
    if run.curves is None or at is None:
        return np.empty((0, 2))
    row = np.flatnonzero(run.curves.epoch == at)[:1]
    return facet.place(run.curves.epoch[row], run.curves.of("val", measure)[row])


def _last_epoch(panels: Sequence[Configuration]) -> float:
    """Return the end of the epoch axis: a little beyond the last epoch, and at least 2."""
    return max(2, 1.02 * max(run.n_epochs or 1 for panel in panels for run in panel.runs))


def _highest(panels: Sequence[Configuration]) -> float:
    """Return the end of the cross-entropy axis, at most `CE_CEILING`.

    It is above all values except the jumps of single epochs.
    """
    curves = [run.curves for panel in panels for run in panel.runs if run.curves is not None]
    values = [c.of(split, "ce") for c in curves for split in COLOR]
    finite = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.empty(0)
    common = 1.15 * float(np.quantile(finite, 0.98)) if finite.size else 1.0
    return min(CE_CEILING, common) if common > 0 else 1.0


def _legend(axes: Axes, measure: str) -> None:
    """Draw the legend above the panels, and write the names of the axes beside them."""
    width, height = axes.get_xlim()[1], axes.get_ylim()[1]
    axes.text(0.06, height / 2, NAMES[measure], size=8, color=INK, rotation=90, va="center")
    axes.text(SIDE, 0.06, "epoch", size=8, color=INK)
    names = {"train": "training", "val": "validation"}
    handles = [Line2D([], [], color=COLOR[split], label=name) for split, name in names.items()]
    circle = Line2D([], [], color=INK, marker="o", fillstyle="none", linewidth=0, markersize=5)
    circle.set_label(MARKED[measure])
    axes.legend(
        handles=[*handles, circle], loc="upper left", ncols=3, frameon=False, fontsize=8,
        labelcolor=INK, bbox_to_anchor=(SIDE / width - 0.01, 1), borderaxespad=0.2,
    )  # fmt: skip
