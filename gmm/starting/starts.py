"""Where EM begins: random, k-means and data-point starts, or given parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.expectation.e_step import sum_up
from gmm.expectation.observed import check_missing, observed_of
from gmm.expectation.sweeps import sums_of_likeliest, sweep_sets
from gmm.kernels import LARGE, PAIRS, use_kernels
from gmm.maximising.conjugate import ConjugatePrior
from gmm.maximising.given import given_means, given_precisions, given_weights
from gmm.maximising.m_step import m_step
from gmm.maximising.prior import NormalInverseWishart
from gmm.mixtures.mixture import Mixture
from gmm.points import Block, Points, open_points
from gmm.starting.factor_starts import factors_of_all, leading_factors
from gmm.starting.kmeans import (
    SEEDS,
    check_size,
    lloyd,
    nearest,
    of_distance,
    one_hot,
    random_points,
    spread_points,
)
from gmm.structures import (
    N_FACTORS,
    Columns,
    Covariance,
    FactorAnalysis,
    Linear,
    Moments,
    structure,
    weighted_sums,
)

# Of a start by k-means as scikit-learn takes it: until the centres stay.
CONVERGED: dict[str, Any] = {"lloyd_iter": 300, "lloyd_tol": 1e-4, "seeds": "k-means++"}


@dataclass(frozen=True)
class Start:
    """How EM begins.

    Attributes:
        init_params: Where the means begin. "random": at mean(x) + Normal(0, 1) std(x) /
            rand_const; "kmeans": after lloyd_iter Lloyd iterations from the seeds; "k-means++": at
            points far from each other; "random_from_data": at random points.
        rand_const: With a number, weights begin in proportion to rand_const + U(0, 1) and
            variances at twice those of the data, as the loadings and noise of factor analysis do.
            With None, weights and covariances are those of the points nearest to each mean;
            "random", which has no such points, then takes 1.
        lloyd_iter: See init_params.
        lloyd_tol: They end before where the squared movement of the centres falls to so many times
            the mean variance of a feature.
        seeds: What they begin at: "random" points, or those of "k-means++".
        weights_init: Given weights, (K,), instead of these.
        means_init: Given means, (K, D).
        precisions_init: Given inverse covariances, shaped as the covariances of one mixture; none
            for factor and ppca.
    """

    init_params: str = "kmeans"
    rand_const: float | None = None
    lloyd_iter: int = 5
    lloyd_tol: float = 0.0
    seeds: str = "random"
    weights_init: Tensor | None = None
    means_init: Tensor | None = None
    precisions_init: Tensor | None = None

    def __post_init__(self) -> None:
        if self.init_params not in MEANS:
            known = sorted(MEANS)
            raise ValueError(f"init_params must be one of {known}, got {self.init_params!r}")
        if self.rand_const is not None and not self.rand_const > 0:
            raise ValueError(f"rand_const must be above 0, got {self.rand_const}")
        if self.lloyd_iter < 0:
            raise ValueError(f"lloyd_iter must be at least 0, got {self.lloyd_iter}")
        if not self.lloyd_tol >= 0:
            raise ValueError(f"lloyd_tol must be at least 0, got {self.lloyd_tol}")
        if self.seeds not in SEEDS:
            raise ValueError(f"seeds must be one of {sorted(SEEDS)}, got {self.seeds!r}")


def make_start(
    data: Any,
    n_components: int | Sequence[int],
    start: Start | None = None,
    *,
    covariance_type: str = "diag",
    n_factors: int = N_FACTORS,
    n_init: int = 1,
    reg_covar: float = 0.0,
    min_variance: float = 0.0,
    chunk_size: int | None = None,
    generator: torch.Generator | None = None,
    missing: bool = False,
    sample_weight: Tensor | Sequence[Tensor] | None = None,
) -> Mixture:
    """Return starts for EM, batch shape (*C, n_init), or (*C, number of K, n_init) for a list.

    Args:
        data: As for `fit_em`, of batch shape *C.
        n_components: K, or a list of K whose mixtures are padded to the largest.
        start: How to begin.
        covariance_type: diag, spherical, tied, full, factor or ppca.
        n_factors: Factors of every component if factor or ppca, at most D.
        n_init: Restarts.
        reg_covar: Added to the covariances; given ones are taken as they are.
        min_variance: Floor under the covariances, likewise.
        chunk_size: Points worked on at a time.
        generator: Source of randomness, on the CPU.
        sample_weight: See `fit_em`; points are drawn in proportion to it.
        missing: Whether NaN stands for a value that is missing. Means begin as if the others'
            mean were in its place, and covariances have their variance for it.

    Raises:
        ValueError: If a given parameter is not possible, K does not fit the data, or weights break
            a rule; where values may be missing, if a feature has none at all, or the structure is
            factor or ppca.
    """
    kind, K = structure(covariance_type, n_factors), n_components
    if missing:
        check_missing(covariance_type)
    largest, n_mixtures = (K, n_init) if isinstance(K, int) else (max(K), len(K) * n_init)
    points, shape = open_points(
        data,
        sample_weight=sample_weight,
        chunk_size=chunk_size,
        row_numbers=lambda D: kind.row_numbers(n_mixtures, largest, D),
        wide=kind.on_diagonal,
        missing=missing,
    )
    made = start_points(
        points,
        n_components,
        start or Start(),
        covariance_type=covariance_type,
        n_factors=n_factors,
        n_init=n_init,
        reg_covar=reg_covar,
        min_variance=min_variance,
        generator=generator,
    )
    many = () if isinstance(n_components, int) else (len(n_components),)
    return made.reshape((*shape, *many, n_init))


def start_points(
    points: Points,
    n_components: int | Sequence[int],
    start: Start,
    *,
    covariance_type: str,
    n_factors: int,
    n_init: int,
    reg_covar: float,
    min_variance: float,
    generator: torch.Generator | None,
    prior: NormalInverseWishart | None = None,
) -> Mixture:
    """Return the starts of `make_start` in float64, batch shape (G, number of K * n_init).

    With a prior, weights, means and covariances that come from points are the posterior's mode.
    """
    sizes = [n_components] if isinstance(n_components, int) else list(n_components)
    _check_sizes(sizes, n_init, points)
    K, D, kind = max(sizes), points.n_features, structure(covariance_type, n_factors)
    given = (
        given_weights(start.weights_init, K),
        given_means(start.means_init, K, D),
        given_precisions(start.precisions_init, kind, K, D),
    )
    slots = torch.arange(K) < torch.tensor(sizes).repeat_interleave(n_init).unsqueeze(-1)
    used = slots.to(points.device).expand(len(points), -1, -1)
    ours: Sequence[Tensor | None] = (None, None, None)
    if any(value is None for value in given):
        n_used = used.sum(-1)
        of_points = None if prior is None else prior.of(points, n_used, covariance_type)
        made = _made(points, used, start, kind, generator, of_points)
        floored = kind.floor(made.covariances, reg_covar, min_variance)
        ours = (made.log_weights, made.means + points.center.double()[:, None, None], floored)
    parts = []
    for theirs, own in zip(given, ours, strict=True):
        value = (
            own
            if theirs is None
            else theirs.to(points.device).expand(*used.shape[:2], *theirs.shape)
        )
        assert value is not None
        parts.append(value)
    return Mixture(parts[0], parts[1], parts[2], covariance_type)


def start_means(
    points: Points,
    n_components: int,
    start: Start,
    n_init: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Return means to begin at, (G, n_init, K, D), relative to the points' centres.

    And which slots are used: all, (G, n_init, K).

    Raises:
        ValueError: If n_init is below 1 or K does not fit the points.
    """
    _check_sizes([n_components], n_init, points)
    shape = (len(points), n_init, n_components)
    used = torch.ones(shape, dtype=torch.bool, device=points.device)
    return MEANS[start.init_params](points, used, start, generator), used


def _check_sizes(sizes: Sequence[int], n_init: int, points: Points) -> None:
    if n_init < 1:
        raise ValueError(f"n_init must be at least 1, got {n_init}")
    for size in sizes:
        check_size("n_components", size, points)


def _made(
    points: Points,
    used: Tensor,
    start: Start,
    kind: Covariance,
    generator: torch.Generator | None,
    prior: ConjugatePrior | None,
) -> Parameters:
    """Return the starting parameters (G, M, ...), relative to the points' centres."""
    means = MEANS[start.init_params](points, used, start, generator)
    means = torch.where(used.unsqueeze(-1), means, 0)
    mean_weight = start.rand_const or 1.0
    draws = torch.rand(used.shape, dtype=torch.float64, generator=generator).to(points.device)
    weights = torch.where(used, mean_weight + draws, 0)
    log_weights = (weights / weights.sum(-1, keepdim=True)).log()
    variances = 2 * points.moments[1][:, None, None].expand_as(means)
    made = Parameters(log_weights, means, kind.from_variances(variances), kind.name)
    of_all = start.rand_const is not None or start.init_params == "random"
    if isinstance(kind, FactorAnalysis) and kind.n_factors:
        if of_all:
            return factors_of_all(points, made, generator)
        found = leading_factors(points, made, _nearest_to(made.means, used), generator)
        return replace(found, means=made.means)
    return made if of_all else _of_nearest_points(points, used, made, prior)


def _of_nearest_points(
    points: Points, used: Tensor, made: Parameters, prior: ConjugatePrior | None
) -> Parameters:
    """Return the means with the weights and covariances of the points nearest to each mean.

    With a prior, all three are the posterior's mode given these points.
    """
    columns = Columns(None, *used.shape[1:])
    sums = sums_of_nearest(points, made.means, used, made.covariance_type, made.covariances)
    of_clusters, _ = m_step(sums, made, columns, reg_covar=0, min_variance=0, prior=prior)
    means = made.means if prior is None else of_clusters.means
    return Parameters(of_clusters.log_weights, means, of_clusters.covariances, made.covariance_type)


def sums_of_nearest(
    points: Points,
    means: Tensor,
    used: Tensor,
    covariance_type: str,
    covariances: Tensor | None = None,
) -> tuple[Tensor, Moments]:
    """Return the sums that an M-step needs when each point belongs to the nearest of the means.

    Args:
        points: G data sets.
        means: (G, M, K, D), relative to `points.center`.
        used: False in slots without a mean, (G, M, K).
        covariance_type: Decides which moments are wanted.
        covariances: Those of factor analysis decide on them, too.
    """
    columns = Columns(None, *used.shape[1:])
    kind = structure(covariance_type)
    if points.has_missing:
        return _sums_of_filled(points, means, used, kind)
    if use_kernels(points.device) and isinstance(kind, Linear):
        if kind.products == PAIRS and points.n_features >= LARGE:
            counts, *moments_of_each = sums_of_likeliest(points, of_distance(means), means, used)
            return counts, tuple(moment.flatten(1, 2) for moment in moments_of_each)
        n_products = kind.n_statistics(points.n_features) - points.n_features - 1
        natural = torch.nn.functional.pad(of_distance(means), (0, n_products))
        swept = sweep_sets(points, kind.products, natural, used, likeliest=True)
        counts, moments = kind.apart(swept.sums.flatten(1, 2), means.flatten(1, 2), points)
        return columns.unpack(counts), moments
    resp = _nearest_to(means, used)
    return sum_up(points, kind, points.blocks(), resp, means, columns, covariances)


def _sums_of_filled(
    points: Points, means: Tensor, used: Tensor, kind: Covariance
) -> tuple[Tensor, Moments]:
    """Return the same where values are missing, which are taken as independent of all others.

    Their expectation is the mean of all points, and their variance is that of all points.
    """
    columns = Columns(None, *used.shape[1:])
    nearest_to, G, D = _nearest_to(means, used), len(points), points.n_features
    n_observed = torch.zeros(G, columns.M * columns.K, D, dtype=torch.float64, device=points.device)

    def responsibilities(block: Block) -> Tensor:
        resp = nearest_to(block)
        weights = columns.pack(block.weigh(resp))
        n_observed[block.sets] += weighted_sums(weights, observed_of(block))
        return resp

    summed = sum_up(points, kind, points.blocks(), responsibilities, means, columns)
    counts, (first, second) = summed
    n_missing = columns.pack(counts).unsqueeze(-1) - points.total(n_observed)
    spread = n_missing * points.moments[1].unsqueeze(1)  # (G, P, D)
    if kind.is_shared:
        spread = columns.unpack(spread, -2).sum(2)
    if not kind.on_diagonal:
        spread = torch.diag_embed(spread)
    elif second.shape[-1] < D:  # one variance for all features
        spread = spread.sum(-1, keepdim=True)
    return counts, (first, second + spread)


def _nearest_to(means: Tensor, used: Tensor) -> Callable[[Block], Tensor]:
    """Return a function that gives every point of a block to its nearest mean."""
    columns = Columns(None, *used.shape[1:])

    def responsibilities(block: Block) -> Tensor:
        labels, _ = nearest(means, used, columns, block)
        return one_hot(labels, used.shape[-1], block.x.dtype)

    return responsibilities


def _random(
    points: Points, used: Tensor, start: Start, generator: torch.Generator | None
) -> Tensor:
    mean, variance = (moment[:, None, None] for moment in points.moments)
    shape = (*used.shape, points.n_features)
    noise = torch.randn(shape, dtype=torch.float64, generator=generator).to(points.device)
    return mean + noise * variance.sqrt() / (start.rand_const or 1.0)


def _random_from_data(
    points: Points, used: Tensor, start: Start, generator: torch.Generator | None
) -> Tensor:
    return random_points(points, used.shape[1], used.shape[2], generator)


def _spread_points(
    points: Points, used: Tensor, start: Start, generator: torch.Generator | None
) -> Tensor:
    return spread_points(points, used.shape[1], used.shape[2], generator)


def _kmeans(
    points: Points, used: Tensor, start: Start, generator: torch.Generator | None
) -> Tensor:
    centers = SEEDS[start.seeds](points, used.shape[1], used.shape[2], generator)
    return lloyd(points, centers, used, start.lloyd_iter, start.lloyd_tol)[0]


MEANS: dict[str, Callable[[Points, Tensor, Start, torch.Generator | None], Tensor]] = {
    "random": _random,
    "kmeans": _kmeans,
    "k-means++": _spread_points,
    "random_from_data": _random_from_data,
}
