"""The figures of the mixtures that are no pictures of faces: curves, tables, probabilities."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
from torch import Tensor

from fer_lightning.plots import BLUE, COLORS, GREEN, INK, VERMILION, panel, plain


def mixing_bars(weights: Tensor) -> Figure:
    """Draw the mixing proportions, (K,), as bars."""
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
    """Draw the log-likelihood against the iteration.

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


def error_curves(sizes: Sequence[int], errors: Mapping[str, Sequence[float]], best: int) -> Figure:
    """Draw the error of each split against the number of components, and mark the best."""
    figure, axes = panel("A mixture per expression", "components of each", "error", 6.4)
    styles = {"train": (BLUE, "o"), "val": (VERMILION, "s"), "test": (GREEN, "^")}
    for split, values in errors.items():
        color, marker = styles[split]
        axes.plot(sizes, values, color=color, marker=marker, linewidth=2, label=split)
    _mark(axes, f"K = {best}", best, errors["val"][list(sizes).index(best)])
    _error_axes(axes, sizes, max(max(values) for values in errors.values()))
    axes.legend(frameon=False)
    return figure


def factor_curves(
    sizes: Sequence[int],
    errors: Mapping[int, Mapping[str, Sequence[float]]],
    best: int,
    factors: int,
) -> Figure:
    """Draw the errors against the number of components, a color for each number of factors.

    Args:
        sizes: Numbers of components.
        errors: From a number of factors to the errors of each split.
        best: The chosen number of components.
        factors: The chosen number of factors.
    """
    figure, axes = panel("A mixture per expression", "components of each", "error", 7.4)
    styles = {"train": (":", "o"), "val": ("-", "s"), "test": ("--", "^")}
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(errors)))
    for color, (n, of_splits) in zip(shades, errors.items(), strict=True):
        for split, values in of_splits.items():
            line, marker = styles[split]
            label = f"{factors_told(n)}, {split}"
            axes.plot(sizes, values, line, color=color, marker=marker, markersize=4, label=label)
    chosen = errors[factors]["val"][list(sizes).index(best)]
    _mark(axes, f"K = {best}\n{factors_told(factors)}", best, chosen)
    _error_axes(
        axes, sizes, max(max(v) for of_splits in errors.values() for v in of_splits.values())
    )
    figure.legend(frameon=False, fontsize=8, loc="outside right center")
    return figure


def factors_told(n: int) -> str:
    """Return a number of factors in words."""
    return "1 factor" if n == 1 else f"{n} factors"


def _mark(axes: Axes, words: str, size: int, error: float) -> None:
    """Circle the chosen number of components, and name it."""
    axes.plot(size, error, "o", markersize=15, color=INK, fillstyle="none", label="_chosen")
    at = (size, error)
    axes.annotate(words, at, (0, 13), textcoords="offset points", ha="center", color=INK)


def _error_axes(axes: Axes, sizes: Sequence[int], highest: float) -> None:
    axes.set_xticks(list(sizes))
    axes.set_ylim(0, 1.15 * highest + 0.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
