"""What shares of right answers are worth: an interval for one, a test for two."""

import math
from dataclasses import dataclass

import torch
from scipy.stats import binomtest, norm
from torch import Tensor

LEVEL = 0.95


def wilson_interval(n_right: int, n: int) -> tuple[float, float] | None:
    """The 95 % score interval of a probability (Wilson 1927), or None without observations.

    Args:
        n_right: Observations in which it happened.
        n: All observations.
    """
    if n == 0:
        return None
    z = float(norm.ppf(0.5 + LEVEL / 2))
    share, extra = n_right / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    reach = z * math.sqrt(share * (1 - share) / n + extra / (4 * n)) / (1 + extra)
    return max(0.0, middle - reach), min(1.0, middle + reach)


@dataclass(frozen=True)
class McNemar:
    """Whether two classifiers are right equally often, by the faces on which they differ.

    Attributes:
        only_first: Points that only the first has right.
        only_second: Points that only the second has right.
        p: Two-sided p-value of McNemar's test in its exact, binomial form, which holds for any
            number of such points; 1 if there are none.
    """

    only_first: int
    only_second: int
    p: float


def mcnemar(first_right: Tensor, second_right: Tensor) -> McNemar:
    """Compare two classifiers on the same points (McNemar 1947).

    Args:
        first_right: Whether the first has each point right, (N,), bool.
        second_right: The same of the second.
    """
    first = int(torch.logical_and(first_right, ~second_right).sum())
    second = int(torch.logical_and(second_right, ~first_right).sum())
    p = float(binomtest(first, first + second).pvalue) if first + second else 1.0
    return McNemar(first, second, p)
