"""Passes of the CPU's kernels over all data sets, from natural parameters to sums or values.

Parameters and sums are tensors with a place for every component, (G, M, K, F), of which unused ones
are left out of the work. numba is imported with the first pass.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gmm.kernels import JOINT, n_statistics
from gmm.points import Points

if TYPE_CHECKING:
    from gmm.kernels.passes import Components


@dataclass(frozen=True, eq=False)
class SetSums:
    """Sums over all points of all processes.

    Attributes:
        sums: Of the statistics, weighted by responsibilities, (G, M, K, F); see `Components`.
        evidence: Of log p(x), (G, M), or of the largest log joint.
        entropy: Of r log r, (G, M), or None where it was not asked for.
    """

    sums: Tensor
    evidence: Tensor
    entropy: Tensor | None


def sweep_sets(
    points: Points,
    products: int,
    natural: Tensor,
    used: Tensor,
    *,
    sets: list[bool] | None = None,
    likeliest: bool = False,
    entropy: bool = False,
) -> SetSums:
    """Take the points of all data sets through a pass, and sum up.

    Args:
        points: The data sets, on the CPU.
        products: Which products are among the statistics, see `gmm.kernels`.
        natural: Parameters of the statistics, (G, M, K, F) or with columns that are left out.
        used: Which components there are, (G, M, K).
        sets: Which data sets are wanted; all by default.
        likeliest: Whether a point belongs to its likeliest component alone.
        entropy: Whether the entropy is wanted.
    """
    G, M, K = used.shape
    F = n_statistics(products, points.n_features)
    sums = torch.zeros(G, M * K, F, dtype=torch.float64)
    evidence = torch.zeros(2, G, M, dtype=torch.float64)
    made: dict[int, tuple[Components, Tensor]] = {}
    for g, x, weights in points.arrays():
        if sets is not None and not sets[g]:
            continue
        if g not in made:
            made[g] = _components(products, natural[g], used[g], points.center[g])
        components, slots = made[g]
        swept = components.sums([(x, weights)], likeliest=likeliest, entropy=entropy)
        sums[g].index_add_(0, slots, torch.from_numpy(swept.sums))
        evidence[0, g] += torch.from_numpy(swept.evidence)
        if entropy:
            evidence[1, g] += torch.from_numpy(swept.entropy)
    evidence = points.total(evidence)
    whole = points.total(sums).unflatten(1, (M, K))
    return SetSums(whole, evidence[0], evidence[1] if entropy else None)


def fill_values(
    points: Points, products: int, natural: Tensor, used: Tensor, what: int, out: Tensor
) -> None:
    """Set out to a value of every point for every mixture, or for every component.

    Args:
        points: G data sets of N points each, on the CPU.
        products: See `sweep_sets`, as for natural and used.
        what: JOINT, RESPONSIBILITIES, EVIDENCE or LIKELIEST.
        out: (G, N, M) or (G, N, M, K).
    """
    filled = [0] * len(points)
    for g, x, _ in points.arrays():
        components, slots = _components(products, natural[g], used[g], points.center[g])
        for start in range(0, len(x), points.chunk_size):
            rows = x[start : start + points.chunk_size]
            values = torch.from_numpy(components.values(rows, what)).mT
            into = out[g, filled[g] : filled[g] + len(rows)]
            filled[g] += len(rows)
            if into.ndim == 2:
                into.copy_(values)
                continue
            if len(slots) < used[g].numel():
                into.fill_(-torch.inf if what == JOINT else 0)
            into.view(len(rows), -1)[:, slots] = values.to(out.dtype)


def _components(
    products: int, natural: Tensor, used: Tensor, center: Tensor
) -> "tuple[Components, Tensor]":
    """Return one data set's components, and which of the M * K places they are in, (P,)."""
    from gmm.kernels.passes import Components

    slots = used.flatten().nonzero().squeeze(-1)
    packed = natural.flatten(0, 1).index_select(0, slots)
    packed = packed[:, : n_statistics(products, len(center))].contiguous()
    first = torch.cat([torch.zeros(1, dtype=torch.int64), used.sum(-1).cumsum(0)])
    return Components(products, packed.numpy(), first.numpy(), center.numpy()), slots
