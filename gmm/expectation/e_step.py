"""The E-step: one pass over all points, and what the M-step needs of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.expectation.by_pattern import ByPattern
from gmm.expectation.density import Density, Parameters
from gmm.expectation.observed import Completion, OnDiagonal
from gmm.expectation.sweeps import (
    Narrow,
    fill_values,
    fill_values_of_narrow,
    sweep_narrow,
    sweep_sets,
)
from gmm.kernels import EVIDENCE, JOINT, LARGE, LIKELIEST, PAIRS, RESPONSIBILITIES, use_kernels
from gmm.points import Block, Points
from gmm.structures import LOG_2PI, Columns, Covariance, Linear, Moments, structure

# Errors of a log density that do not show in results of a type.
NEGLIGIBLE = {torch.float64: 1e-10, torch.float32: 1e-6}
_EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Expected:
    """Sums over all points, under responsibilities (Bishop 2006, eq. 9.23).

    Where values are missing, log p(x) is that of the others, and sums have expectations.

    Attributes:
        counts: Sum of the responsibilities, (G, M, K).
        moments: What `Covariance.update` needs.
        log_evidence: Sum of log p(x), (G, M).
        entropy: Sum of r log r, (G, M), or None where it was not asked for.
    """

    counts: Tensor
    moments: Moments
    log_evidence: Tensor
    entropy: Tensor | None


def expect(
    points: Points,
    parameters: Parameters,
    factors: Tensor,
    columns: Columns,
    *,
    sets: list[bool] | None = None,
    entropy: bool = False,
) -> Expected:
    """Take all points through the E-step of M mixtures, and sum up.

    Args:
        points: The G data sets.
        parameters: The mixtures.
        factors: Those of the covariances, see `Covariance.factor`.
        columns: Packing of the components.
        sets: Which data sets are wanted; all by default.
        entropy: Whether the entropy is wanted.
    """
    sets = sets or [True] * len(points)
    if points.has_missing:
        return _completed(points, completion(parameters, columns), sets, entropy)
    kind = structure(parameters.covariance_type)
    if use_kernels(points.device) and isinstance(kind, Linear):
        by = _by_kernels if _takes_statistics(kind, points, factors) else _by_whitening
        return by(kind, points, parameters, factors, columns, sets, entropy)
    return _by_blocks(points, parameters, factors, columns, sets, entropy)


def values_of(points: Points, parameters: Parameters, what: int, dtype: torch.dtype) -> Tensor:
    """Return a value of every point for every mixture.

    Args:
        points: The G data sets, all of N points in memory.
        parameters: M mixtures for each.
        what: JOINT or RESPONSIBILITIES, (G, N, M, K), or EVIDENCE or LIKELIEST, (G, N, M).
        dtype: Of the result.
    """
    kind, (G, M, K) = structure(parameters.covariance_type), parameters.log_weights.shape
    shape = (G, int(points.n_points.max()), M, *([K] if what in (JOINT, RESPONSIBILITIES) else []))
    out = torch.empty(shape, dtype=dtype, device=points.device)
    if points.has_missing:
        _fill_by_blocks(points, completion(parameters).log_joint, what, out)
        return out
    factors = kind.factor(parameters.covariances)
    if use_kernels(points.device) and isinstance(kind, Linear):
        if kind.is_whole and _takes_statistics(kind, points, factors):
            natural = kind.natural(parameters.log_weights, parameters.means, factors)
            used = parameters.log_weights > -torch.inf
            fill_values(points, kind.products, natural, used, what, out)
        else:
            fill_values_of_narrow(points, _narrow(kind, parameters, factors), what, out)
        return out
    density = Density(parameters, factors=factors)
    _fill_by_blocks(points, density.log_joint, what, out)
    return out


def _fill_by_blocks(
    points: Points, log_joint: Callable[[Block], Tensor], what: int, out: Tensor
) -> None:
    for block in points.blocks():
        joint = log_joint(block)
        rows = slice(block.start, block.start + joint.shape[1])
        out[block.sets, rows] = _VALUES[what](joint).to(out.dtype)


def expected_points(points: Points, parameters: Parameters) -> Tensor:
    """Return E[x | x_observed] of every point under every mixture, (G, N, M, D), uncentred."""
    (G, M, _), N = parameters.log_weights.shape, int(points.n_points.max())
    out = torch.empty(G, N, M, points.n_features, dtype=points.work_dtype, device=points.device)
    of_observed = completion(parameters)
    for block in points.blocks():
        expected = of_observed.expected(block)
        out[block.sets, block.start : block.start + expected.shape[1]] = expected
    return out.add_(points.center[:, None, None])


def completion(parameters: Parameters, columns: Columns | None = None) -> Completion:
    """Return the E-step of mixtures on points with missing values."""
    columns = columns or Columns.of(parameters.log_weights)
    is_on_diagonal = structure(parameters.covariance_type).on_diagonal
    return (OnDiagonal if is_on_diagonal else ByPattern)(parameters, columns)


_VALUES: dict[int, Callable[[Tensor], Tensor]] = {
    JOINT: lambda joint: joint,
    EVIDENCE: lambda joint: joint.logsumexp(-1),
    RESPONSIBILITIES: lambda joint: (joint - joint.logsumexp(-1, keepdim=True)).exp(),
    LIKELIEST: lambda joint: joint.argmax(-1),
}


def _takes_statistics(kind: Linear, points: Points, factors: Tensor) -> bool:
    """Return whether log densities are to be taken as sums of statistics, terms that nearly cancel.

    Where components are narrow and far from the centre of the points, terms are far larger than
    their sum, and leave their rounding to it. Of many features, the products of all pairs would
    take more room than points do.
    """
    if kind.on_diagonal:
        return True
    if kind.products == PAIRS and points.n_features >= LARGE:
        return False
    mean, variance = points.moments
    spread = (variance + mean.square()).sqrt()[:, None, None, None]  # (G, 1, 1, 1, D)
    spread = spread if factors.ndim == 5 else spread.squeeze(2)
    most = NEGLIGIBLE[points.dtype] / _EPS
    at_most = (spread @ factors.abs()).square().sum((-2, -1))  # no less than the terms' sizes
    if bool(at_most.nan_to_num().max() < most):
        return True
    terms = ((factors @ factors.mT).abs() * spread * spread.mT).sum((-2, -1))
    return bool(terms.nan_to_num().max() < most)


def _by_kernels(
    kind: Linear,
    points: Points,
    parameters: Parameters,
    factors: Tensor,
    columns: Columns,
    sets: list[bool],
    entropy: bool,
) -> Expected:
    used = parameters.log_weights > -torch.inf
    natural = kind.natural(parameters.log_weights, parameters.means, factors)
    swept = sweep_sets(points, kind.products, natural, used, sets=sets, entropy=entropy)
    sums, log_evidence = columns.pack(swept.sums, -2), swept.evidence
    counts, moments = kind.apart(sums, columns.pack(parameters.means, -2), points)
    shared = kind.log_evidence_of_all(factors, points)
    if shared is not None:
        log_evidence = log_evidence + shared
    return Expected(columns.unpack(counts, fill=0), moments, log_evidence, swept.entropy)


def _by_whitening(
    kind: Linear,
    points: Points,
    parameters: Parameters,
    factors: Tensor,
    columns: Columns,
    sets: list[bool],
    entropy: bool,
) -> Expected:
    narrow = _narrow(kind, parameters, factors)
    swept = sweep_narrow(points, narrow, sets=sets, entropy=entropy, products=not kind.is_shared)
    if kind.is_shared:
        first = swept.shifts + swept.counts.unsqueeze(-1) * parameters.means
        moments: Moments = (columns.pack(first, -2), points.scatter.unsqueeze(1))
    else:
        assert swept.products is not None
        moments = (columns.pack(swept.shifts, -2), columns.pack(swept.products, -3))
    return Expected(swept.counts, moments, swept.evidence, swept.entropy)


def _narrow(kind: Linear, parameters: Parameters, factors: Tensor) -> Narrow:
    """Return components with correlations for a pass that keeps all digits."""
    D = parameters.means.shape[-1]
    log_det = kind.log_det(factors, D)
    if kind.is_shared:
        factors, log_det = factors.unsqueeze(2), log_det.unsqueeze(-1)
    shape = (*parameters.means.shape, D)
    constants = parameters.log_weights - 0.5 * (D * LOG_2PI + log_det)
    return Narrow(factors.expand(shape), parameters.means, constants)


def _by_blocks(
    points: Points,
    parameters: Parameters,
    factors: Tensor,
    columns: Columns,
    sets: list[bool],
    entropy: bool,
) -> Expected:
    kind, density = structure(parameters.covariance_type), Density(parameters, columns, factors)
    evidence = parameters.log_weights.new_zeros(2, *parameters.log_weights.shape[:2])

    def responsibilities(block: Block) -> Tensor:
        resp, log_evidence = density.responsibilities(block)
        evidence[0, block.sets] += block.weigh(log_evidence).sum(1)
        if entropy:
            evidence[1, block.sets] += block.weigh(torch.special.entr(resp).neg_().sum(-1)).sum(1)
        return resp.to(block.x.dtype)

    blocks = (b for b in points.blocks() if any(sets[b.sets]))
    counts, moments = sum_up(
        points, kind, blocks, responsibilities, parameters.means, columns, factors
    )
    evidence = points.total(evidence)
    return Expected(counts, moments, evidence[0], evidence[1] if entropy else None)


def _completed(
    points: Points, of_observed: Completion, sets: list[bool], entropy: bool
) -> Expected:
    """Sum up points with missing values, block by block."""
    totals: list[Tensor] = []
    for block in points.blocks():
        if not any(sets[block.sets]):
            continue
        found = of_observed.sums(block)
        parts = [found.counts, found.log_evidence, found.entropy, *found.moments]
        totals = totals or [part.new_zeros(len(points), *part.shape[1:]) for part in parts]
        for total, part in zip(totals, parts, strict=True):
            total[block.sets] += part
    counts, evidence, entropies, *moments = (points.total(total) for total in totals)
    return Expected(counts, tuple(moments), evidence, entropies if entropy else None)


def sum_up(
    points: Points,
    kind: Covariance,
    blocks: Iterator[Block],
    responsibilities: Callable[[Block], Tensor],
    means: Tensor,
    columns: Columns,
    factors: Tensor | None = None,
) -> tuple[Tensor, Moments]:
    """Return counts (G, M, K) and moments under any responsibilities, block by block.

    Args:
        points: The G data sets.
        kind: Decides which moments are wanted.
        blocks: Blocks of the points.
        responsibilities: A function from a block to its responsibilities, (G, n, M, K).
        means: What moments may be relative to, (G, M, K, D).
        columns: Packing of the components.
        factors: Of the old covariances, see `Covariance.factor`; factor analysis needs them.
    """
    counts = torch.zeros(means.shape[:3], dtype=torch.float64, device=points.device)
    moments: list[Tensor] = []
    for block in blocks:
        resp = block.weigh(responsibilities(block))
        share, parts = kind.sums(block, resp, means, columns, factors)
        counts[block.sets] += share
        if not moments:
            moments = [counts.new_zeros(len(points), *part.shape[1:]) for part in parts]
        for total, part in zip(moments, parts, strict=True):
            total[block.sets] += part
    return points.total(counts), tuple(points.total(moment) for moment in moments)
