"""The two matrix products that EM spends its time in: points by components, and back."""

import torch
from torch import Tensor

from gmm.points import Block

_ROWS_PER_SUM = 1024
# Numbers of a product that keep a device busy.
_LARGE = 128 * 1024


def project(x: Tensor, w: Tensor) -> Tensor:
    """Return the inner products of every point with every row of w.

    Args:
        x: Points, (G, n, D).
        w: One row per component, (G, P, D), in the dtype of x.

    Returns:
        (G, n, P), in the dtype of x.
    """
    if not _is_narrow(x):
        return x @ w.mT
    # (1, P, 1, n) in channels-last order is (1, n, P) in memory.
    return torch.nn.functional.conv2d(_image(x), _kernel(w)).squeeze(2).mT


def quadratics(block: Block, linear: Tensor, squared: Tensor) -> Tensor:
    """Return x.a + x^2.b for every point x and every row of a = linear and b = squared.

    Args:
        block: The points, (G, n, D).
        linear: One row per component, (G, P, D), in the dtype of the points.
        squared: The same.

    Returns:
        (G, n, P), in the dtype of the points.
    """
    packed = project(block.x, linear)
    if _is_narrow(block.x):
        return packed + project(block.squares, squared)
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
    if not x.is_cpu:
        return _batched_sums(weights, x)
    total = torch.zeros(
        x.shape[0], weights.shape[-1], x.shape[-1], dtype=torch.float64, device=x.device
    )
    n_parts = -(-x.shape[1] // _ROWS_PER_SUM)
    for w, rows in zip(weights.chunk(n_parts, 1), x.chunk(n_parts, 1), strict=True):
        total += _narrow_sums(w, rows) if _is_narrow(x) else w.mT @ rows
    return total


def _batched_sums(weights: Tensor, x: Tensor) -> Tensor:
    """Return weights^T x in float64, with all partial sums in one batched product.

    In float64 they are taken only where the product is so small that it would leave most of the
    device idle.
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


def _narrow_sums(weights: Tensor, x: Tensor) -> Tensor:
    """Return weights^T x, computed as the gradient of `project` with respect to w."""
    kernel = torch.empty(weights.shape[-1], x.shape[-1], 1, 1).to(memory_format=torch.channels_last)
    only_kernel = [False, True, False]
    grad = torch.ops.aten.convolution_backward(
        *(_image(weights.contiguous()), _image(x), kernel, None),
        *([1, 1], [0, 0], [1, 1], False, [0, 0], 1, only_kernel),
    )
    weighted: Tensor = grad[1]
    return weighted.flatten(1).unsqueeze(0)


def _is_narrow(x: Tensor) -> bool:
    # MKL stays far below the machine's peak when a factor has few columns, as mixtures have;
    # oneDNN's 1x1 convolution is the same product and faster. On one thread torch would take
    # another convolution.
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.shape[0] == 1
        and x.is_contiguous()
        and torch.get_num_threads() > 1
        and torch.backends.mkldnn.is_available()
    )


def _image(rows: Tensor) -> Tensor:
    """View (1, n, C) rows as one image, (1, C, 1, n), in channels-last order."""
    return rows.unsqueeze(1).permute(0, 3, 1, 2)


def _kernel(w: Tensor) -> Tensor:
    """View (1, P, D) as 1x1 kernels, (P, D, 1, 1)."""
    return w[0, :, :, None, None].contiguous(memory_format=torch.channels_last)
