"""Lloyd's algorithm for many restarts on many data sets at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.expectation.sweeps import fill_values, sweep_sets
from gmm.kernels import JOINT, NONE, use_kernels
from gmm.points import Batches, Block, Distributed, Points, open_points
from gmm.structures import Columns, weighted_sums


@dataclass(frozen=True, eq=False)
class KMeansFit:
    """The best of the restarts on every data set, batch shape *C.

    Attributes:
        centers: (*C, K, D).
        inertia: Sum of the squared distances to the nearest centre, (*C).
        inertias: The same of every restart, (*C, n_init).
        n_iter: Number of Lloyd iterations of every restart, (*C, n_init).
    """

    centers: Tensor
    inertia: Tensor
    inertias: Tensor
    n_iter: Tensor

    def predict(self, x: Tensor) -> Tensor:
        """Return the index of the nearest centre for each of the points (*C, N, D), (*C, N)."""
        return torch.cdist(x.to(self.centers.dtype), self.centers).argmin(-1)


def kmeans(
    data: Tensor | Sequence[Tensor] | Batches | Distributed,
    n_clusters: int,
    *,
    n_init: int = 1,
    init: str | Tensor = "k-means++",
    max_iter: int = 100,
    tol: float = 1e-4,
    chunk_size: int | None = None,
    generator: torch.Generator | None = None,
    sample_weight: Tensor | Sequence[Tensor] | None = None,
) -> KMeansFit:
    """Cluster by Lloyd's algorithm (Bishop 2006, eqs. 9.2-9.4).

    A cluster that loses its last point starts anew at the point farthest from its centre.

    Args:
        data: Points (*C, N, D), a list of G data sets (N_g, D), or an iterable of batches.
        n_clusters: K, at most the number of points.
        n_init: Restarts, run side by side.
        init: "k-means++" (Arthur and Vassilvitskii 2007), "random" for points drawn without
            replacement, or centres to begin at, (*C, n_init, K, D) or what broadcasts to it.
        max_iter: The largest number of Lloyd iterations.
        tol: A restart stops when the squared movement of its centres falls to tol times the mean
            variance of a feature.
        chunk_size: Points worked on at a time.
        generator: Source of randomness, on the CPU.
        sample_weight: See `fit_em`; the inertia is that of points repeated so often.

    Raises:
        ValueError: If n_clusters does not fit the data, init is unknown, or weights break a rule.

    Examples:
        >>> import gmm, torch
        >>> x = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> gmm.kmeans(x, 2, init=torch.tensor([[0.0], [1.0]])).centers.flatten()
        tensor([ 0.5000, 10.5000])
    """
    points, shape = open_points(data, sample_weight=sample_weight, chunk_size=chunk_size)
    check_size("n_clusters", n_clusters, points)
    if isinstance(init, Tensor):
        wanted = (*shape, n_init, n_clusters, points.n_features)
        given = init.expand(wanted).reshape(-1, *wanted[-3:]).to(points.device, torch.float64)
        centers = given - points.center.double()[:, None, None]
    elif init in SEEDS:
        centers = SEEDS[init](points, n_init, n_clusters, generator)
    else:
        raise ValueError(f"init must be one of {sorted(SEEDS)} or a tensor, got {init!r}")
    used = torch.ones(centers.shape[:-1], dtype=torch.bool, device=points.device)
    centers, inertia, n_iter = lloyd(points, centers, used, max_iter, tol)
    best = inertia.argmin(-1)
    chosen = centers[torch.arange(len(points), device=points.device), best]
    chosen = (chosen + points.center.double().unsqueeze(1)).to(points.dtype)
    return KMeansFit(
        chosen.reshape((*shape, *chosen.shape[1:])),
        inertia.amin(-1).reshape(shape),
        inertia.reshape((*shape, n_init)),
        n_iter.reshape((*shape, n_init)),
    )


def lloyd(
    points: Points, centers: Tensor, used: Tensor, max_iter: int, tol: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Run Lloyd's algorithm from centres (G, M, K, D), which are relative to `points.center`.

    Args:
        points: G data sets.
        centers: Where to begin, float64.
        used: False in slots without a centre, (G, M, K).
        max_iter: The largest number of iterations.
        tol: See `kmeans`.

    Returns:
        The centres, the inertia under them (G, M), and the number of iterations (G, M).
    """
    still = tol * points.moments[1].mean(-1, keepdim=True)
    is_here = points.in_memory and points.is_alone
    # Where features are many, all distances are about the same, and bounds decide few of them.
    if use_kernels(points.device) and is_here and points.n_features < _MANY:
        from gmm.starting.bounded_lloyd import lloyd_with_bounds

        centers, n_iter = lloyd_with_bounds(points, centers, used, max_iter, still)
        return centers, assign(points, centers, used)[2], n_iter
    n_iter = torch.zeros(used.shape[:2], dtype=torch.int64, device=points.device)
    moving = torch.ones_like(n_iter, dtype=torch.bool)
    for _ in range(max_iter):
        moved = _lloyd_step(points, centers, used)
        shift = (moved - centers).square().sum((-2, -1))
        centers = torch.where(moving[..., None, None], moved, centers)
        n_iter += moving
        moving &= shift > still
        if not bool(moving.any()):
            break
    return centers, assign(points, centers, used)[2], n_iter


def nearest(centers: Tensor, used: Tensor, columns: Columns, block: Block) -> tuple[Tensor, Tensor]:
    """Return every point's nearest centre, as an index, and the squared distance, (G, n, M)."""
    packed = columns.pack(centers, -2)[block.sets]
    lengths = centers.square().sum(-1).masked_fill(~used, torch.inf)[block.sets].unsqueeze(1)
    cross = columns.unpack((block.x @ packed.to(block.x.dtype).mT).double(), fill=0)
    gap, label = (lengths - 2 * cross).min(-1)
    own = block.squares.sum(-1, dtype=torch.float64).unsqueeze(-1)
    return label, (gap + own).clamp_min(0)


def assign(points: Points, centers: Tensor, used: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give every point to its nearest centre.

    Args:
        points: G data sets.
        centers: (G, M, K, D), float64, relative to `points.center`.
        used: False in slots without a centre, (G, M, K).

    Returns:
        Number of points of every centre (G, M, K), their sums (G, M, K, D), and the sum of all
        squared distances to the nearest centre, (G, M), all weighted.
    """
    if use_kernels(points.device):
        swept = sweep_sets(points, NONE, of_distance(centers), used, likeliest=True)
        inertia = (points.lengths.unsqueeze(-1) - 2 * swept.evidence).clamp_min(0)
        return swept.sums[..., -1], swept.sums[..., :-1], inertia
    columns = Columns(None, *used.shape[1:])
    counts = torch.zeros(used.shape, dtype=torch.float64, device=points.device)
    inertia = counts.new_zeros(used.shape[:2])
    sums = torch.zeros_like(centers).flatten(1, 2)
    for block in points.blocks():
        labels, gap = nearest(centers, used, columns, block)
        resp = block.weigh(one_hot(labels, used.shape[-1], block.x.dtype))
        counts[block.sets] += resp.sum(1, dtype=torch.float64)
        sums[block.sets] += weighted_sums(columns.pack(resp), block.x)
        inertia[block.sets] += block.weigh(gap).sum(1)
    sums = columns.unpack(points.total(sums), -2)
    return points.total(counts), sums, points.total(inertia)


def of_distance(centers: Tensor) -> Tensor:
    """Return the parameters of x . c - |c|^2 / 2, the largest for the nearest centre.

    They are those of the statistics x and 1, (..., D + 1).
    """
    return torch.cat([centers, -0.5 * centers.square().sum(-1, keepdim=True)], -1)


def one_hot(labels: Tensor, K: int, dtype: torch.dtype) -> Tensor:
    """Return labels as one-hot responsibilities, (..., K)."""
    hot = torch.zeros(*labels.shape, K, dtype=dtype, device=labels.device)
    return hot.scatter_(-1, labels.unsqueeze(-1), 1)


def random_points(
    points: Points, M: int, K: int, generator: torch.Generator | None = None
) -> Tensor:
    """Draw K different points M times from each data set, (G, M, K, D).

    Each is drawn in proportion to its weight, among those not drawn before it.
    """
    n_points, weights = points.n_points.long().tolist(), points.row_weights
    chances = [None] * len(points) if weights is None else weights.cpu()
    index = torch.stack(
        [
            torch.stack([_random_rows(n, K, of_set, generator) for _ in range(M)])
            for n, of_set in zip(n_points, chances, strict=True)
        ]
    )
    drawn: Tensor = points.take(index.flatten(1).to(points.device)).unflatten(1, (M, K))
    return drawn


def _random_rows(
    n: int, K: int, weights: Tensor | None, generator: torch.Generator | None
) -> Tensor:
    """Draw K of n rows without replacement (Efraimidis and Spirakis 2006, algorithm A), (K,).

    Where all weights are equal, the rows are those that are drawn without weights.
    """
    if weights is None or bool((weights[:n] == weights[0]).all()):
        return torch.randperm(n, generator=generator)[:K]
    waits = -torch.log1p(-torch.rand(n, dtype=torch.float64, generator=generator))
    return (waits / weights[:n]).topk(K, largest=False).indices


def spread_points(
    points: Points, M: int, K: int, generator: torch.Generator | None = None
) -> Tensor:
    """Draw K points M times by k-means++ (Arthur and Vassilvitskii 2007), (G, M, K, D).

    Each is drawn in proportion to its squared distance from the nearest point drawn before it,
    times its weight.
    """
    G, N = len(points), int(points.n_points.max())
    rows = torch.arange(N, device=points.device)
    # Equal chances for the first point, none for padding. Other processes have their own part.
    distances = points.here(rows).double().unsqueeze(1).repeat(1, M, 1)
    weights = points.row_weights
    chosen: list[Tensor] = []
    # Restart by restart, so that the first ones are the same however many there are.
    draws = torch.rand(M, K, G, 1, dtype=torch.float64, generator=generator).to(points.device)
    for k in range(K):
        chances = distances if weights is None else distances * weights.unsqueeze(1)
        cumulative = points.total(chances).cumsum(-1)
        index = torch.searchsorted(
            cumulative, draws[:, k].transpose(0, 1).contiguous() * cumulative[..., -1:], right=True
        )
        index = index.clamp_max((points.n_points.long() - 1)[:, None, None])
        chosen.append(points.take(index.squeeze(-1)).unsqueeze(2))
        if k + 1 < K:
            _shorten(points, chosen[-1], distances, first=k == 0)
            distances.scatter_(-1, index, 0)
    return torch.cat(chosen, 2)


_MANY = 256  # features

SEEDS = {"k-means++": spread_points, "random": random_points}


def check_size(name: str, K: int, points: Points) -> None:
    """Raise ValueError unless every data set has at least K points and K is at least 1."""
    if K < 1:
        raise ValueError(f"{name} must be at least 1, got {K}")
    n = int(points.n_points.min())
    if n < K:
        raise ValueError(
            f"{name} must be at most the number of points ({n}), got {K}: Expected n_samples >= "
            f"n_components but got n_components = {K}, n_samples = {n}"
        )


def _lloyd_step(points: Points, centers: Tensor, used: Tensor) -> Tensor:
    counts, sums, _ = assign(points, centers, used)
    means = sums / counts.masked_fill(counts == 0, 1).unsqueeze(-1)
    empty = (counts == 0) & used
    if bool(empty.any()):
        far = _farthest(points, centers, used, int(empty.sum(-1).max()))
        # The first empty cluster takes the farthest point, the second the next.
        turn = (empty.cumsum(-1) - 1).clamp_min(0).unsqueeze(-1).expand_as(means)
        means = torch.where(empty.unsqueeze(-1), far.gather(-2, turn), means)
    return means


def _farthest(points: Points, centers: Tensor, used: Tensor, n: int) -> Tensor:
    """Return the n points farthest from their nearest centres, (G, M, n, D)."""
    columns = Columns(None, *used.shape[1:])
    N = int(points.n_points.max())
    gaps = torch.zeros(*used.shape[:2], N, dtype=torch.float64, device=points.device)
    for block in points.blocks():
        _, gap = nearest(centers, used, columns, block)
        rows = slice(block.start, block.start + gap.shape[1])
        gaps[block.sets, :, rows] = block.mask(gap + 1).mT  # padding stays below every point
    index = points.total(gaps).topk(n, -1).indices
    taken: Tensor = points.take(index.flatten(1)).unflatten(1, index.shape[1:])
    return taken


def _shorten(points: Points, center: Tensor, distances: Tensor, first: bool) -> None:
    """Update the squared distances (G, M, N), in place, for one more centre (G, M, 1, D)."""
    used = torch.ones(center.shape[:3], dtype=torch.bool, device=points.device)
    if use_kernels(points.device) and points.in_memory and points.is_alone:
        products = distances.new_zeros(len(points), distances.shape[-1], *center.shape[1:3])
        fill_values(points, NONE, of_distance(center), used, JOINT, products)
        gaps = (points.squared_lengths.unsqueeze(1) - 2 * products.squeeze(-1).mT).clamp_min_(0)
        distances.copy_(gaps if first else torch.minimum(distances, gaps))
        return
    columns = Columns(None, used.shape[1], 1)
    for block in points.blocks():
        gap = block.mask(nearest(center, used, columns, block)[1]).mT
        at = (block.sets, slice(None), slice(block.start, block.start + gap.shape[-1]))
        distances[at] = gap if first else torch.minimum(distances[at], gap)
