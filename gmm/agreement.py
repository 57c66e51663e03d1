"""How clusters agree with classes, from the table of their counts."""

import torch
from torch import Tensor


def contingency(clusters: Tensor, classes: Tensor, K: int, C: int) -> Tensor:
    """Number of points of every cluster and class, (K, C)."""
    return torch.bincount(clusters * C + classes, minlength=K * C).reshape(K, C)


def purity(counts: Tensor) -> float:
    """The share of points whose class is the most frequent one of their cluster."""
    return float(counts.amax(-1).sum() / counts.sum())


def adjusted_rand(counts: Tensor) -> float:
    """The adjusted Rand index (Hubert and Arabie 1985, eq. 5): 0 by chance, 1 for the same sets."""

    def pairs(n: Tensor) -> float:
        n = n.double()
        return float((n * (n - 1) / 2).sum())

    together, rows, columns = pairs(counts), pairs(counts.sum(-1)), pairs(counts.sum(-2))
    expected = rows * columns / max(pairs(counts.sum()), 1)
    most = (rows + columns) / 2
    return (together - expected) / (most - expected) if most != expected else 1.0
