"""How clusters agree with classes, from the table of their counts."""

from torch import Tensor


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
