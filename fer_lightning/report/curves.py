"""The curves of a run, from its `metrics.csv`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lightning.report.files import numbers, read_rows

COLUMNS = ("epoch", "train_ce", "train_acc", "val_ce", "val_acc", "seconds")

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curves:
    """A value per epoch of each column of `metrics.csv`, (epochs,); NaN where there is none."""

    epoch: Values
    train_ce: Values
    train_acc: Values
    val_ce: Values
    val_acc: Values
    seconds: Values

    def of(self, split: str, measure: str) -> Values:
        """The curve of a split, train or val, and a measure, ce or acc."""
        values: Values = getattr(self, f"{split}_{measure}")
        return values

    def best_row(self) -> int | None:
        """Position of the best epoch by validation accuracy, the first if several tie."""
        return int(np.nanargmax(self.val_acc)) if np.isfinite(self.val_acc).any() else None


def read_curves(path: Path) -> Curves:
    """The curves in a `metrics.csv`.

    Raises:
        InputError: It cannot be read, or is no such file.
    """
    rows = read_rows(path, COLUMNS)
    cells = [numbers(path.name, row) for row in rows]
    return Curves(*np.array(cells, dtype=np.float64).reshape(-1, len(COLUMNS)).T)


def thinned(x: Values, y: Values, buckets: int = 60) -> tuple[Values, Values]:
    """A curve with at most two points for each of some stretches: its lowest and its highest.

    Jumps of single epochs so stay visible, however many epochs there are.
    """
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(y) <= 2 * buckets:
        return x, y
    kept = {0, len(y) - 1}
    for rows in np.array_split(np.arange(len(y)), buckets):
        kept |= {int(rows[y[rows].argmin()]), int(rows[y[rows].argmax()])}
    at = sorted(kept)
    return x[at], y[at]
