"""The two matrix products that EM spends its time in: points by components, and back."""

import torch
from torch import Tensor

from gmm.points import Block

_ROWS_PER_SUM = 1024
# Numbers of a product that keep a device busy.
_LARGE = 128 * 1024


def quadratics(block: Block, linear: Tensor, squared: Tensor) -> Tensor:
    """Return x.a + x^2.b for every point x and every row of a = linear and b = squared.

    Args:
        block: The points, (G, n, D).
        linear: One row per component, (G, P, D), in the dtype of the points.
        squared: The same.

    Returns:
        (G, n, P), in the dtype of the points.
    """
    packed = block.x @ linear.mT
    both: Tensor = torch.baddbmm(packed, block.squares, squared.mT)
    return both


def weighted_sums(weights: Tensor, x: Tensor) -> Tensor:
    """Return the sums of the points weighted by every component's weights, in float64.

    Rows are added up a thousand at a time, and these partial sums in float64, so that the error
    of float32 does not grow with the number of points.

    Args:
        weights: (G, n, P), in the dtype of x.
        x: Points, (G, n, D).

    Returns:
        (G, P, D), float64.
    """
    n = x.shape[1] - x.shape[1] % _ROWS_PER_SUM
    is_large = weights.shape[-1] * x.shape[-1] >= _LARGE
    if n == 0 or (x.dtype == torch.float64 and is_large):
        whole: Tensor = (weights.mT @ x).double()
        return whole
    parts = (t[:, :n].unflatten(1, (-1, _ROWS_PER_SUM)) for t in (weights, x))
    of_weights, of_x = parts
    total: Tensor = (of_weights.mT @ of_x).sum(1, dtype=torch.float64)
    return total if n == x.shape[1] else total.add_(weights[:, n:].mT @ x[:, n:])
