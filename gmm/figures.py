"""The figures of the mixtures: pictures of faces, curves, tables and probabilities."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
from torch import Tensor

from gmm.calibration import Reliability

# Okabe and Ito's colours, which the colour-blind can tell apart.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
COLORS = (VERMILION, BLUE, GREEN, PURPLE)
INK, GRID = "#333333", "#DDDDDD"
DPI = 144
INCH = 72  # pixels of a face to an inch, so two dots to a pixel, and a point of type to each
GAP, CAPTION, HEAD, MARGIN, ROW_LABEL, BAR = 4, 14, 24, 8, 52, 48


def face_sheet(
    title: str,
    faces: Tensor,
    columns: int,
    captions: Sequence[str] = (),
    rows: Sequence[str] = (),
    unit: str | None = None,
) -> Figure:
    """Faces side by side.

    Args:
        title: Above them.
        faces: (n, P); NaN leaves a place empty.
        columns: Faces in a row.
        captions: Of each face, above it.
        rows: Of each row, to its left.
        unit: With one, values are shown in colours with a scale that has this name; without, faces
            are grey, from 0 to 1.
    """
    side = math.isqrt(faces.shape[-1])
    above = CAPTION if captions else GAP
    n_rows = math.ceil(len(faces) / columns)
    width, height = columns * (side + GAP) - GAP, n_rows * (side + above)
    canvas = np.full((height, width), np.nan, dtype=np.float32)
    places = [divmod(i, columns) for i in range(len(faces))]
    corners = [(r * (side + above) + above, c * (side + GAP)) for r, c in places]
    for (top, left), face in zip(corners, faces.float().cpu().numpy(), strict=True):
        canvas[top : top + side, left : left + side] = face.reshape(side, side)

    before = ROW_LABEL if rows else MARGIN
    full_width = max(before + width + (BAR if unit else MARGIN), 7 * len(title))
    full_height = HEAD + height + MARGIN
    figure = Figure(figsize=(full_width / INCH, full_height / INCH), dpi=DPI)
    figure.text(MARGIN / full_width, 1 - 14 / full_height, title, size=11, color=INK, va="center")
    place = (before, MARGIN, width, height)
    axes = figure.add_axes(_share(place, full_width, full_height))
    axes.set_axis_off()
    limits = Normalize(0, float(np.nanmax(canvas))) if unit else Normalize(0, 1)
    picture = axes.imshow(
        canvas, cmap="viridis" if unit else "gray", norm=limits, interpolation="nearest"
    )
    for caption, (top, left) in zip(captions, corners, strict=False):
        axes.text(left + side / 2, top - 3, caption, size=8, color=INK, ha="center", va="bottom")
    for label, (top, _) in zip(rows, corners[::columns], strict=False):
        axes.text(-6, top + side / 2, label, size=8, color=INK, ha="right", va="center")
    if unit:
        # A scale as tall as one row of faces.
        beside = (before + width + 8, MARGIN, 6, side)
        scale = figure.colorbar(
            picture, cax=figure.add_axes(_share(beside, full_width, full_height))
        )
        scale.ax.tick_params(labelsize=6, length=2, pad=1, colors=INK)
        scale.ax.yaxis.set_major_locator(MaxNLocator(3))
        scale.outline.set_visible(False)
        scale.ax.set_title(unit, size=6, color=INK, pad=4)
    return figure


def _share(box: Sequence[float], width: float, height: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a box as shares of a figure."""
    left, bottom, wide, tall = box
    return left / width, bottom / height, wide / width, tall / height


def mixing_bars(weights: Tensor) -> Figure:
    """Mixing proportions, (K,), as bars."""
    K = len(weights)
    figure, axes = _panel("Mixing proportions", "component", "share of the faces", 3 + 0.4 * K)
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
    figure, axes = _panel("EM on the training faces", "iteration", "log-likelihood, summed", 6.4)
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
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="lower right")
    return figure


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
    figure, axes = _panel("A mixture per expression", "components of each", "error", 6.4)
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
        for x, y, n in zip(middles, shown.accuracy, shown.counts, strict=True):
            if n:
                axes.text(x, float(y) + 0.015, f"{int(n)}", ha="center", size=7, color=INK)
        axes.set_xlim(max(0, math.floor(chance * 10) / 10), 1.02)
        axes.set_ylim(0, 1.08)
        axes.set_title(
            f"{title}\nECE {shown.ece:.3f}: {shown.mean_confidence:.1%} sure, "
            f"{shown.mean_accuracy:.1%} right", size=10, color=INK, loc="left",
        )  # fmt: skip
        _plain(axes, "p(answer | face), in bins; faces above each bar", "")
    axes_of[0].set_ylabel("share of right answers", color=INK)
    axes_of[0].legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def _panel(title: str, x: str, y: str, width: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, 4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, size=11, color=INK, loc="left")
    _plain(axes, x, y)
    return figure, axes


def _plain(axes: Axes, x: str, y: str) -> None:
    """Axes without a box, on a light grid."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8)


def padded(faces: Iterable[Tensor], columns: int) -> Tensor:
    """Rows of at most `columns` faces, (rows * columns, P), with NaN where one is missing."""
    rows = []
    for row in faces:
        filled = row.new_full((columns, row.shape[-1]), torch.nan)
        filled[: len(row)] = row
        rows.append(filled)
    return torch.cat(rows)
