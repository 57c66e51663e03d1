"""Splits that a data set lacks, drawn from its training faces."""

from dataclasses import dataclass

import numpy as np

from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.splitting import split_faces
from fer_lightning.errors import require_integer, require_number


@dataclass(frozen=True)
class DrawnSplits:
    """How splits are drawn: stratified by class, each person in one of them.

    Args:
        seed: Seed of the draw.
        val_fraction: Share of the faces that are drawn from which goes to validation.
        test_fraction: The same for testing.

    Raises:
        SettingError: One of these breaks its rule.
    """

    seed: int
    val_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        require_integer("seed", self.seed, 0)
        require_number("val_fraction", self.val_fraction, 0, open_below=True, below=1)
        require_number(
            "test_fraction", self.test_fraction, 0, open_below=True, below=1 - self.val_fraction
        )

    def lacking(self, splits: np.ndarray) -> dict[str, float]:
        """Return the splits without a face, and the shares that are drawn for them."""
        shares = {"val": self.val_fraction, "test": self.test_fraction}
        return {split: share for split, share in shares.items() if not (splits == split).any()}

    def complete(self, splits: np.ndarray, labels: np.ndarray, subjects: np.ndarray) -> np.ndarray:
        """Return the name of the split of each face, (N,), with the splits that are lacking.

        Args:
            splits: The names that the data set gives, (N,), and `train` where it gives none.
            labels: (N,).
            subjects: Who is shown, (N,), -1 where unknown.
        """
        drawn = self.lacking(splits)
        complete = splits.astype("<U5")
        rows = np.flatnonzero(splits == "train")
        fractions = [1 - sum(drawn.values()), *drawn.values()]
        part = split_faces(labels[rows], subjects[rows], fractions, self.seed, len(CLASSES))
        complete[rows] = np.array(["train", *drawn])[part]
        return complete
