"""Points as a stream of centred, padded and masked blocks, wherever they are.

In come tensors, arrays, batches or shards, of one process or several; out go blocks that fit in
memory.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from gmm.points.blocks import Batches, Block, Points, as_points
from gmm.points.devices import usable_device
from gmm.points.distributed import Distributed
from gmm.points.shards import Shards
from gmm.points.weights import checked_weights, weighed

__all__ = [
    "Batches",
    "Block",
    "Distributed",
    "Points",
    "Shards",
    "as_points",
    "checked_weights",
    "open_points",
    "usable_device",
]


def open_points(
    data: Any, *, sample_weight: Any = None, **options: Any
) -> tuple[Points, tuple[int, ...]]:
    """Return the data as `Points`, and their batch shape *C.

    Args:
        data: Points (*C, N, D); or a list of G data sets, then *C is (G,); or an iterable of
            batches, or this process's part of a data set, then *C is ().
        sample_weight: How often each point counts, (*C, N), or a list of G tensors (N_g,); those
            that count zero times are left out.
        options: Further arguments of `Points`.

    Raises:
        ValueError: If the data are not finite, an iterable cannot be read twice, or weights break a
            rule.
    """
    if sample_weight is not None:
        sets, weights, shape = _weighed(data, sample_weight)
        if all(bool((w == 1).all()) for w in weights):  # to the last digit as without weights
            return Points(sets, **options), shape
        return Points(sets, weights=weights, **options), shape
    if isinstance(data, Distributed):
        return open_points(data.data, others=data, **options)
    if isinstance(data, Tensor):
        return Points(_sets(data), **options), tuple(data.shape[:-2])
    if isinstance(data, Sequence):
        return Points(data, **options), (len(data),)
    if iter(data) is data:
        raise ValueError(
            "an iterable of batches must be readable more than once, got an iterator; "
            "pass a DataLoader or another object with __iter__"
        )
    return Points(data, **options), ()


def _sets(data: Tensor) -> list[Tensor]:
    """Return the data sets of a tensor (*C, N, D)."""
    if data.ndim < 2:
        raise ValueError(f"data must be (*C, N, D) points, got shape {tuple(data.shape)}")
    return list(data.reshape(data.shape[:-2].numel(), *data.shape[-2:]))


def _weighed(data: Any, sample_weight: Any) -> tuple[list[Tensor], list[Tensor], tuple[int, ...]]:
    """Return the data sets without the points of weight zero, weights, and batch shape *C."""
    if isinstance(data, Tensor):
        sets = _sets(data)
        weights = checked_weights(sample_weight, tuple(data.shape[:-1]))
        return *weighed(sets, list(weights.reshape(-1, data.shape[-2]))), tuple(data.shape[:-2])
    if isinstance(data, Sequence):
        return *weighed([as_points(x) for x in data], sample_weight), (len(data),)
    raise ValueError(
        "sample_weight must be None for points in batches or of several processes, got weights; "
        "pass a tensor, or a list of tensors"
    )
