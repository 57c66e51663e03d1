"""The figures of the mixtures that are no pictures of faces: curves, tables, probabilities."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
from torch import Tensor

from fer_lightning.figure_style import BLUE, COLORS, DPI, GREEN, INK, VERMILION, panel, plain
from gmm.calibration import Reliability


def mixing_bars(weights: Tensor) -> Figure:
    """Mixing proportions, (K,), as bars."""
    K = len(weights)
    figure, axes = panel("Mixing proportions", "component", "share of the faces", 3 + 0.4 * K)
    bars = axes.bar(range(1, K + 1), weights.tolist(), color=BLUE, width=0.7)
    axes.bar_label(bars, [f"{w:.3f}" for w in weights.tolist()], size=8, color=INK, padding=2)
    axes.axhline(1 / K, color=INK, linewidth=1, linestyle=":", label=f"1 / {K}")
    axes.legend(frameon=False, loc="upper right")
    axes.set_xticks(range(1, K + 1))
    axes.set_ylim(0, 1.2 * float(weights.max()))
    axes.grid(visible=False, axis="x")
    return figure


def likelihood_curves(curves: Mapping[str, tuple[Tensor, int, int | None]]) -> Figure:
    """Log-likelihood against iteration.

    Args:
        curves: From the name of a start to its log-likelihoods (restarts, T), its best restart and
            the iteration at which that came near its end.
    """
    figure, axes = panel("EM on the training faces", "iteration", "log-likelihood, summed", 6.4)
    _draw_curves(axes, curves)
    axes.legend(frameon=False, loc="lower right")
    ends = torch.cat([curve[best, 3:] for curve, best, _ in curves.values()])
    ends = ends[ends.isfinite()]
    if len(ends) > len(
        curves
    ):  # the first steps are so long that all others look alike beside them
        inset = axes.inset_axes((0.3, 0.3, 0.68, 0.44))
        _draw_curves(inset, curves)
        inset.set_xlim(3.5)
        low, high = float(ends.min()), float(ends.max())
        inset.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low) + 1e-9 * abs(high))
        inset.tick_params(labelsize=7)
    return figure


def _draw_curves(axes: Axes, curves: Mapping[str, tuple[Tensor, int, int | None]]) -> None:
    for color, (name, (curve, best, near)) in zip(COLORS, curves.items(), strict=False):
        steps = range(1, curve.shape[-1] + 1)
        for restart, values in enumerate(curve.tolist()):
            if restart != best:
                axes.plot(steps, values, color=color, linewidth=0.7, alpha=0.4)
        values = curve[best].tolist()
        label = name if near is None else f"{name}: within 0.1 % of its end at iteration {near}"
        axes.plot(steps, values, color=color, linewidth=2, label=label, marker=".", markersize=4)
        if near is not None:
            axes.plot(near, values[near - 1], "o", color=color, markersize=9, fillstyle="none")
    plain(axes, axes.get_xlabel(), axes.get_ylabel())
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def count_table(
    title: str, counts: Tensor, rows: Sequence[str], columns: Sequence[str], names: tuple[str, str]
) -> Figure:
    """Counts, (R, C), coloured by their share of the row.

    Args:
        title: Above the table.
        counts: The table.
        rows: Names of the rows.
        columns: Names of the columns.
        names: What rows are, and what columns are.
    """
    R, C = counts.shape
    figure = Figure((1.9 + 0.72 * max(C, 5), 1.3 + 0.36 * max(R, 3)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    share = counts / counts.sum(-1, keepdim=True).clamp_min(1)
    axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i in range(R):
        for j in range(C):
            text = f"{int(counts[i, j]):,} ({float(share[i, j]):.0%})"
            color = "white" if share[i, j] > 0.55 else INK
            axes.text(j, i, text, ha="center", va="center", size=7.5, color=color)
    axes.set_xticks(range(C), columns, size=8)
    axes.set_yticks(range(R), rows, size=8)
    axes.set_ylabel(names[0], color=INK)
    axes.set_xlabel(names[1], color=INK)
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_title(title, size=11, color=INK, loc="left")
    return figure


def error_curves(sizes: Sequence[int], errors: Mapping[str, Sequence[float]], best: int) -> Figure:
    """Error of each split against the number of components, and the best of these."""
    figure, axes = panel("A mixture per expression", "components of each", "error", 6.4)
    styles = {"train": (BLUE, "o"), "val": (VERMILION, "s"), "test": (GREEN, "^")}
    for split, values in errors.items():
        color, marker = styles[split]
        axes.plot(sizes, values, color=color, marker=marker, linewidth=2, label=split)
    chosen = errors["val"][list(sizes).index(best)]
    axes.plot(best, chosen, "o", markersize=15, color=INK, fillstyle="none")
    axes.annotate(
        f"K = {best}", (best, chosen), (0, 13), textcoords="offset points", ha="center", color=INK
    )
    axes.set_xticks(list(sizes))
    axes.set_ylim(0, 1.15 * max(max(values) for values in errors.values()) + 0.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False)
    return figure


def reliability_diagram(panels: Mapping[str, Reliability], chance: float) -> Figure:
    """How often answers are right against how sure they are, a panel for each way to say it.

    Args:
        panels: From a title to what it shows.
        chance: Where confidences begin: 1 / number of classes.
    """
    figure = Figure(figsize=(4.3 * len(panels), 4.6), dpi=DPI, layout="constrained")
    axes_of = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, shown) in zip(axes_of, panels.items(), strict=True):
        edges = np.linspace(0, 1, len(shown.counts) + 1)
        middles, filled = (edges[1:] + edges[:-1]) / 2, shown.counts.numpy() > 0
        right, sure = shown.accuracy.numpy()[filled], shown.confidence.numpy()[filled]
        axes.bar(middles[filled], right, 0.92 * edges[1], color=BLUE, label="right answers")
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--", label="calibrated")
        axes.plot(sure, sure, "D", color=VERMILION, markersize=5, label="mean confidence")
        for x, n in zip(middles[filled], shown.counts.numpy()[filled], strict=True):
            axes.text(x, 1.03, f"{int(n):,}", ha="center", size=7, color=INK)
        axes.set_xlim(max(0, math.floor(chance * 10) / 10), 1.02)
        axes.set_ylim(0, 1.08)
        axes.set_title(
            f"{title}\nECE {shown.ece:.3f}: {shown.mean_confidence:.1%} sure, "
            f"{shown.mean_accuracy:.1%} right", size=10, color=INK, loc="left",
        )  # fmt: skip
        plain(axes, "p(answer | face), in bins; above, their faces", "")
    axes_of[0].set_ylabel("share of right answers", color=INK)
    handles, labels = axes_of[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3, fontsize=8)
    return figure
