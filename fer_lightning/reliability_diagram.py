"""How often answers are right against how sure they are, as a figure."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from fer_lightning.calibration import Reliability
from fer_lightning.figure_style import BLUE, DPI, INK, VERMILION, plain


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
            axes.text(x, 1.03, _short(int(n)), ha="center", size=7, color=INK)
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


def _short(n: int) -> str:
    """A number that fits above a bar."""
    return str(n) if n < 1000 else f"{n / 1000:.1f}k"
