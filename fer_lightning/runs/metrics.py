"""`metrics.csv`: its columns, the curves in it, and when a run has converged by them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lightning.files import numbers, read_rows

CURVES = ("train/ce", "train/acc", "val/ce", "val/acc")
COLUMNS = ("epoch", *(tag.replace("/", "_") for tag in CURVES), "seconds")


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
        """Return the curve of a split, train or val, and a measure, ce or acc."""
        values: Values = getattr(self, f"{split}_{measure}")
        return values

    def best_row(self) -> int | None:
        """Return the position of the epoch with the best validation accuracy, or None.

        If several tie, it is the first of them.
        """
        return int(np.nanargmax(self.val_acc)) if np.isfinite(self.val_acc).any() else None


def read_curves(path: Path) -> Curves:
    """Return the curves in a `metrics.csv`.

    Raises:
        InputError: It cannot be read, or is no such file.
    """
    rows = read_rows(path, COLUMNS)
    cells = [numbers(path.name, row) for row in rows]
    return Curves(*np.array(cells, dtype=np.float64).reshape(-1, len(COLUMNS)).T)


def thinned(x: Values, y: Values, buckets: int = 60) -> tuple[Values, Values]:
    """Return a curve with only the lowest and the highest point of each of `buckets` stretches.

    So jumps of single epochs stay visible, however many epochs there are.
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


DEFINITION = (
    "A run is “within one point” from the first epoch on whose validation accuracy is at most one "
    "percentage point below the best of all epochs. Validation CE “turns” in the epoch in which "
    "its smoothed curve is lowest, if the median of its last tenth is at least 5 % above this "
    "minimum; smoothed means each epoch's mean with its neighbours, 5 % of all epochs to either "
    "side, where there are any. A dash: it did not turn."
)


@dataclass(frozen=True)
class Convergence:
    """Epochs, from 1, that tell how fast a run learnt.

    Attributes:
        best: The epoch of the best validation accuracy, the first if several tie.
        near_best: The first epoch within one percentage point of the best validation accuracy.
        ce_turns: The epoch in which validation CE turns up, or None if it does not.
    """

    best: int | None
    near_best: int | None
    ce_turns: int | None

    @classmethod
    def of(cls, curves: Curves) -> "Convergence":
        """Return the convergence of a run from its curves."""
        best = curves.best_row()
        near, turn = first_within(curves.val_acc, 0.01), turning_point(curves.val_ce)
        return cls(*(None if row is None else int(curves.epoch[row]) for row in (best, near, turn)))


def first_within(acc: Values, margin: float) -> int | None:
    """Return the position of the first accuracy at most `margin` below the highest, or None."""
    if not np.isfinite(acc).any():
        return None
    # A share of faces such as 0.76 has no exact float; a millionth of a face decides nothing.
    return int(np.argmax(acc >= np.nanmax(acc) - margin - 1e-9))


def turning_point(ce: Values, rise: float = 0.05) -> int | None:
    """Return the position of a smoothed curve's minimum, or None if the curve does not rise again.

    The end is a median, so that a loss that jumps in its last epoch is not taken for a turn.

    Args:
        ce: A value per epoch; those that are not finite are left out.
        rise: How far above the minimum the curve must end, as a share of the minimum.
    """
    rows = np.flatnonzero(np.isfinite(ce))
    if not len(rows):
        return None
    smooth = smoothed(ce[rows], round(len(rows) / 20))
    lowest = int(smooth.argmin())
    end = np.median(ce[rows[-max(1, len(rows) // 10) :]])
    return int(rows[lowest]) if end >= (1 + rise) * smooth[lowest] else None


def smoothed(values: Values, reach: int) -> Values:
    """Return the moving average over each value and up to `reach` neighbours on either side."""
    n = len(values)
    first, after = np.arange(n) - reach, np.arange(n) + reach + 1
    first, after = first.clip(0), after.clip(max=n)
    sums = np.concatenate([[0.0], values.cumsum()])
    return (sums[after] - sums[first]) / (after - first)
