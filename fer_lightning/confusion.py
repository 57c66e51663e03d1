"""Which classes are taken for which, and how well each is found."""

import torch
from torch import Tensor


def contingency(rows: Tensor, columns: Tensor, R: int, C: int) -> Tensor:
    """Number of points of every row's and column's label, (R, C), from labels of each, (N,)."""
    return torch.bincount(rows * C + columns, minlength=R * C).reshape(R, C)


def class_scores(counts: Tensor) -> list[dict[str, float | int | None]]:
    """Precision, recall and F1 of each class, and its number of points, `n`.

    Args:
        counts: Points by true class (rows) and predicted class, (C, C).

    Returns:
        Figures in [0, 1]; None where nothing was predicted (precision), nothing is there (recall),
        or neither (F1).
    """
    hits = counts.diagonal().tolist()
    predicted, there = counts.sum(0).tolist(), counts.sum(1).tolist()
    return [
        {
            "precision": _share(hit, said),
            "recall": _share(hit, n),
            "f1": _share(2 * hit, said + n),
            "n": n,
        }
        for hit, said, n in zip(hits, predicted, there, strict=True)
    ]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
