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

__all__ = [
    "Batches",
    "Block",
    "Distributed",
    "Points",
    "Shards",
    "as_points",
    "open_points",
    "usable_device",
]


def open_points(data: Any, **options: Any) -> tuple[Points, tuple[int, ...]]:
    """Return the data as `Points`, and their batch shape *C.

    Args:
        data: Points (*C, N, D); or a list of G data sets, then *C is (G,); or an iterable of
            batches, or this process's part of a data set, then *C is ().
        options: Further arguments of `Points`.

    Raises:
        ValueError: If the data are not finite or an iterable cannot be read twice.
    """
    if isinstance(data, Distributed):
        return open_points(data.data, others=data, **options)
    if isinstance(data, Tensor):
        if data.ndim < 2:
            raise ValueError(f"data must be (*C, N, D) points, got shape {tuple(data.shape)}")
        sets = list(data.reshape(data.shape[:-2].numel(), *data.shape[-2:]))
        return Points(sets, **options), tuple(data.shape[:-2])
    if isinstance(data, Sequence):
        return Points(data, **options), (len(data),)
    if iter(data) is data:
        raise ValueError(
            "an iterable of batches must be readable more than once, got an iterator; "
            "pass a DataLoader or another object with __iter__"
        )
    return Points(data, **options), ()
