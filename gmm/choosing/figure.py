"""The figure of a choice: criteria against the number of components."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_INK, _GRID = "#333333", "#DDDDDD"
_LINES = {  # the last ones are drawn over the first
    "fitted": ("points of the fit", "#999999", "", "--"),
    "icl": ("ICL", "#009E73", "^", "-"),
    "bic": ("BIC", "#0072B2", "o", "-"),
    "aic": ("AIC", "#CC79A7", "s", "-"),
    "held_out": ("held-out points ± s.e.", "#D55E00", "D", "-"),
}


@dataclass(frozen=True)
class Curves:
    """The criteria of a structure for several numbers of components.

    Attributes:
        covariance_type: The structure.
        numbers: The numbers of components, L.
        lines: Values per point of fitted, icl, bic, aic and, if there is any, held_out, L each.
        errors: Standard errors of held_out, L.
        chosen: The number that was chosen, or None where another structure was, or none.
        criterion: What decided.
    """

    covariance_type: str
    numbers: Sequence[int]
    lines: Mapping[str, Sequence[float]]
    errors: Sequence[float]
    chosen: int | None
    criterion: str


def write(curves: Sequence[Curves], path: str | Path) -> None:
    """Write a figure with a panel for every structure."""
    S = len(curves)
    figure = Figure(figsize=(2.4 + 4 * S, 4), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, S, sharex=True, sharey=True, squeeze=False)[0]
    draw(curves, list(panels))
    for axes in panels[1:]:
        axes.set_ylabel("")
    for axes in panels:
        axes.get_legend().remove()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside right upper", fontsize=9)
    figure.savefig(path)


def draw(curves: Sequence[Curves], panels: Sequence[Axes]) -> None:
    """Draw every structure into axes of its own.

    Raises:
        ValueError: If there are more or fewer axes than structures.
    """
    if len(panels) != len(curves):
        raise ValueError(f"axes must be {len(curves)}, one for each structure, got {len(panels)}")
    for each, axes in zip(curves, panels, strict=True):
        _draw_lines(each, axes)
        _finish(each, axes)
        if each.chosen is not None:
            _mark(each, each.chosen, axes)


def _draw_lines(curves: Curves, axes: Axes) -> None:
    for name, (label, color, marker, style) in _LINES.items():
        if name not in curves.lines:
            continue
        axes.errorbar(
            list(curves.numbers),
            list(curves.lines[name]),
            list(curves.errors) if name == "held_out" else None,
            color=color,
            marker=marker,
            markersize=5,
            linestyle=style,
            capsize=3,
            label=label,
        )


def _mark(curves: Curves, K: int, axes: Axes) -> None:
    """Mark the chosen number of components."""
    value = curves.lines[curves.criterion][list(curves.numbers).index(K)]
    axes.axvline(K, color=_INK, linewidth=1, linestyle=":", zorder=1)
    axes.plot(K, value, "o", markersize=14, color=_INK, fillstyle="none", clip_on=False)
    by = "held-out points" if curves.criterion == "held_out" else curves.criterion.upper()
    axes.set_title(f"K = {K}, chosen by {by}", size=9, color=_INK, loc="right")


def _finish(curves: Curves, axes: Axes) -> None:
    axes.set_title(curves.covariance_type, size=11, color=_INK, loc="left")
    axes.set_xlabel("number of components", color=_INK)
    axes.set_ylabel("criterion per point; lower is better", color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
