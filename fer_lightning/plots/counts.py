"""A table of counts, such as a confusion matrix, and its figure."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from fer_lightning.plots.colors import INK
from fer_lightning.plots.style import DPI


def contingency(rows: Tensor, columns: Tensor, R: int, C: int) -> Tensor:
    """Return the number of points for each pair of row and column label, (R, C).

    Points have the row labels `rows` and the column labels `columns`, (N,) each.
    """
    return torch.bincount(rows * C + columns, minlength=R * C).reshape(R, C)


def count_table(
    title: str, counts: Tensor, rows: Sequence[str], columns: Sequence[str], names: tuple[str, str]
) -> Figure:
    """Draw counts, (R, C), as a table coloured by their share of the row.

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
            cell = axes.text(j, i, text, ha="center", va="center", size=7.5, color=color)
            cell.set_in_layout(False)  # measuring all cells would take as long as drawing them
    axes.set_xticks(range(C), columns, size=8)
    axes.set_yticks(range(R), rows, size=8)
    axes.set_ylabel(names[0], color=INK)
    axes.set_xlabel(names[1], color=INK)
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_title(title, size=11, color=INK, loc="left")
    return figure
