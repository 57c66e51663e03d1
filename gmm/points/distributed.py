"""Points that are spread over several processes."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Alone:
    """A process that holds all points, without others to sum with."""

    def total(self, x: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes, the same in each."""
        return x

    def before(self, n: int, device: torch.device) -> int:
        """Return the number of points in the processes before this one, which itself holds n."""
        return 0


class Distributed(Alone):
    """This process's part of a data set, of which other processes hold the rest.

    Give it to `fit_em`, `fit_many`, `make_start` or `kmeans` in place of the points, in every
    process of the default group of `torch.distributed` alike, with a `generator` of one seed: sums
    over the points are then taken over all processes, and each returns what a single process that
    holds all points would. The order of the points is that of the processes.

        torch.distributed.init_process_group()
        fits = gmm.fit_many(gmm.Distributed(x_of_this_process), 7, generator=generator)

    Args:
        data: Points (N, D), or an iterable of batches (n, D); at least one point.
    """

    def __init__(self, data: Tensor | Iterable[Any]) -> None:
        if isinstance(data, Tensor) and data.ndim != 2:
            raise ValueError(f"data must be (N, D) points, got shape {tuple(data.shape)}")
        self.data = data

    def total(self, x: Tensor) -> Tensor:
        summed = x.clone()
        dist.all_reduce(summed)
        return summed

    def before(self, n: int, device: torch.device) -> int:
        counts = torch.zeros(dist.get_world_size(), dtype=torch.int64, device=device)
        counts[dist.get_rank()] = n
        return int(self.total(counts)[: dist.get_rank()].sum())
