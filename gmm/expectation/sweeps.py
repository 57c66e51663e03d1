"""Passes of the CPU's kernels over all data sets, from natural parameters to sums or values.

Parameters and sums are tensors with a place for every component, (G, M, K, F), of which unused ones
are left out of the work. numba is imported with the first pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gmm.kernels import JOINT, LIKELIEST, NONE, n_statistics
from gmm.points import Points

if TYPE_CHECKING:
    from gmm.kernels.passes import Components
    from gmm.kernels.whitened_passes import ExactSums, Whitened


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


@dataclass(frozen=True, eq=False)
class Narrow:
    """Components with correlations, for passes that keep all digits, (G, M, K, ...).

    Attributes:
        roots: Upper triangular U, U U^T = Sigma^-1, (G, M, K, D, D).
        means: Relative to the centres of the points, (G, M, K, D).
        constants: Log joint density at the mean, (G, M, K); -inf in places without a component.
    """

    roots: Tensor
    means: Tensor
    constants: Tensor

    def of_set(self, g: int, center: Tensor) -> "tuple[Whitened, Tensor]":
        """Return a data set's components, and which of the M * K places they are in, (P,)."""
        from gmm.kernels.whitened_passes import Whitened

        slots, first = _places(self.constants[g] > -torch.inf)
        roots, means, constants = (
            values[g].flatten(0, 1).index_select(0, slots).contiguous().numpy()
            for values in (self.roots, self.means, self.constants)
        )
        made = Whitened(roots, means, constants, first.numpy(), center.double().numpy())
        return made, slots


@dataclass(frozen=True, eq=False)
class NarrowSums:
    """Sums over all points of all processes, about the means of the components.

    Attributes:
        counts: Of the responsibilities, (G, M, K).
        shifts: Of x - mu, weighted by them, (G, M, K, D).
        products: Of the products of its features, (G, M, K, D, D), or None where not asked for.
        evidence: Of log p(x), (G, M).
        entropy: Of r log r, (G, M), or None where it was not asked for.
    """

    counts: Tensor
    shifts: Tensor
    products: Tensor | None
    evidence: Tensor
    entropy: Tensor | None


def sweep_narrow(
    points: Points,
    narrow: Narrow,
    *,
    sets: list[bool],
    entropy: bool = False,
    products: bool = True,
) -> NarrowSums:
    """Take the points of the data sets that are wanted through a pass that keeps all digits."""
    (G, M, K), D = narrow.constants.shape, points.n_features
    shapes = [(M * K,), (M * K, D), *([(M * K, D, D)] if products else [])]
    sums = [torch.zeros(G, *shape, dtype=torch.float64) for shape in shapes]
    evidence = torch.zeros(2, G, M, dtype=torch.float64)
    made: dict[int, tuple[Whitened, Tensor]] = {}
    for g, x, weights in points.arrays():
        if not sets[g]:
            continue
        if g not in made:
            made[g] = narrow.of_set(g, points.center[g])
        components, slots = made[g]
        swept = components.sums(x, weights, entropy=entropy, products=products)
        _add_up(sums, g, slots, swept)
        evidence[0, g] += torch.from_numpy(swept.evidence)
        if entropy:
            evidence[1, g] += torch.from_numpy(swept.entropy)
    counts, shifts, *of_pairs = (points.total(t).unflatten(1, (M, K)) for t in sums)
    evidence = points.total(evidence)
    r_log_r = evidence[1] if entropy else None
    return NarrowSums(counts, shifts, of_pairs[0] if of_pairs else None, evidence[0], r_log_r)


def _add_up(sums: list[Tensor], g: int, slots: Tensor, swept: "ExactSums") -> None:
    """Add counts, shifts and, where they are among the sums, products to a data set's."""
    parts = map(torch.from_numpy, (swept.counts, swept.shifts, swept.products))
    for total, part in zip(sums, parts, strict=False):
        total[g].index_add_(0, slots, part)


def sums_of_likeliest(
    points: Points, natural: Tensor, means: Tensor, used: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sums over points, each in its likeliest component, about means, of many features.

    Args:
        points: The data sets, on the CPU.
        natural: Parameters of x and 1 by which a component is the likeliest, (G, M, K, D + 1).
        means: (G, M, K, D).
        used: Which components there are, (G, M, K).

    Returns:
        Counts (G, M, K), and, weighted by them, sums of x - mu, (G, M, K, D), and of the products
        of its features, (G, M, K, D, D).
    """
    from gmm.kernels.whitened_passes import sums_of_labels

    (G, M, K), D = used.shape, points.n_features
    shapes = ((M * K,), (M * K, D), (M * K, D, D))
    sums = [torch.zeros(G, *shape, dtype=torch.float64) for shape in shapes]
    for g, x, weights in points.arrays():
        center = points.center[g]
        components, slots = _components(NONE, natural[g], used[g], center)
        about = means[g].flatten(0, 1).index_select(0, slots).contiguous().numpy()
        labels, first = components.values(x, LIKELIEST), components.first
        swept = sums_of_labels(x, weights, labels, first, center.double().numpy(), about)
        _add_up(sums, g, slots, swept)
    counts, shifts, products = (points.total(t).unflatten(1, (M, K)) for t in sums)
    return counts, shifts, products


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

    def of_set(g: int, center: Tensor) -> "tuple[Components, Tensor]":
        return _components(products, natural[g], used[g], center)

    _fill(points, of_set, used[0].numel(), what, out)


def fill_values_of_narrow(points: Points, narrow: Narrow, what: int, out: Tensor) -> None:
    """Do as `fill_values`, with all digits."""
    _fill(points, narrow.of_set, narrow.constants[0].numel(), what, out)


def _fill(
    points: Points,
    of_set: "Callable[[int, Tensor], tuple[Components | Whitened, Tensor]]",
    n_places: int,
    what: int,
    out: Tensor,
) -> None:
    filled = [0] * len(points)
    for g, x, _ in points.arrays():
        components, slots = of_set(g, points.center[g])
        for start in range(0, len(x), points.chunk_size):
            rows = x[start : start + points.chunk_size]
            values = torch.from_numpy(components.values(rows, what)).mT
            into = out[g, filled[g] : filled[g] + len(rows)]
            filled[g] += len(rows)
            if into.ndim == 2:
                into.copy_(values)
                continue
            if len(slots) < n_places:
                into.fill_(-torch.inf if what == JOINT else 0)
            into.view(len(rows), -1)[:, slots] = values.to(out.dtype)


def _components(
    products: int, natural: Tensor, used: Tensor, center: Tensor
) -> "tuple[Components, Tensor]":
    """Return one data set's components, and which of the M * K places they are in, (P,)."""
    from gmm.kernels.passes import Components

    slots, first = _places(used)
    packed = natural.flatten(0, 1).index_select(0, slots)
    packed = packed[:, : n_statistics(products, len(center))].contiguous()
    return Components(products, packed.numpy(), first.numpy(), center.numpy()), slots


def _places(used: Tensor) -> tuple[Tensor, Tensor]:
    """Return which of the M * K places are used, (P,), and where a mixture's begin, (M + 1,)."""
    first = torch.cat([torch.zeros(1, dtype=torch.int64), used.sum(-1).cumsum(0)])
    return used.flatten().nonzero().squeeze(-1), first
