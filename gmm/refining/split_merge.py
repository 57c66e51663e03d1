"""Split and merge: a way out of the optima in which EM ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.fitting.em import check_limits, fit_points
from gmm.fitting.final_pass import final_pass
from gmm.mixtures.mixture import Mixture
from gmm.points import Batches, Points, open_points
from gmm.refining.candidates import find_candidates, score_components
from gmm.refining.partial_em import change, partial_em, put_back
from gmm.structures import STRUCTURES, Linear, structure


@dataclass(frozen=True, eq=False)
class SplitMerge:
    """Mixtures of batch shape *B, at least as likely as those that were given.

    Attributes:
        mixture: The mixtures; those that no change made better are as they were given.
        log_likelihood: A point's mean log-likelihood under them, (*B).
        log_likelihood_before: Under those that were given, (*B).
        n_changes: How often components were merged and split, (*B).
    """

    mixture: Mixture
    log_likelihood: Tensor
    log_likelihood_before: Tensor
    n_changes: Tensor


@dataclass(frozen=True)
class _Settings:
    n_candidates: int
    n_partial: int
    max_iter: int
    tol: float
    reg_covar: float
    min_variance: float


def split_merge(
    data: Tensor | Sequence[Tensor] | Batches,
    mixture: Mixture,
    *,
    n_candidates: int = 5,
    n_partial: int = 10,
    max_rounds: int = 10,
    max_iter: int = 100,
    tol: float = 1e-3,
    reg_covar: float = 0.0,
    min_variance: float = 0.0,
    chunk_size: int | None = None,
    generator: torch.Generator | None = None,
) -> SplitMerge:
    """Look for more likely mixtures by merging two components and splitting a third.

    EM ends where several components share one cluster of points and another has to do with too
    few. Candidates for both are found from the responsibilities, EM is run on the three components
    alone and then on all, and what came of it is kept if it is more likely (Ueda, Nakano,
    Ghahramani & Hinton 2000). All candidates of all mixtures are one batch, of which the best is
    kept, where the paper tries one after another. A component without points needs no merging: it
    becomes half of one that is split.

    Args:
        data: The points that the mixtures were fitted to, see `fit_em`.
        mixture: Fitted mixtures, batch shape *B, that are diag, spherical, tied or full.
        n_candidates: Changes of a mixture that are tried in every round.
        n_partial: EM steps with the three components alone.
        max_rounds: The largest number of rounds; a mixture ends with the first that brings nothing.
        max_iter: Of the EM steps with all components after that, see `fit_em`, as for reg_covar,
            min_variance and chunk_size.
        tol: How much a change must raise the mean log-likelihood of a point; see also `fit_em`.
        generator: Source of randomness, on the CPU.

    Raises:
        ValueError: If an argument breaks its rule, or shapes do not agree.

    Examples:
        Two of three components share a cluster, and one has two:

        >>> import gmm, torch
        >>> x = torch.tensor([0.0, 5.0, 10.0]).repeat_interleave(20).unsqueeze(1)
        >>> x = x + torch.linspace(-1, 1, 20).repeat(3).unsqueeze(1)
        >>> thirds = torch.full((3,), 1 / 3).log()
        >>> start = gmm.Mixture(thirds, torch.tensor([[-0.5], [0.5], [7.5]]), torch.ones(3, 1))
        >>> stuck = gmm.fit_em(x, start).mixture
        >>> found = gmm.split_merge(x, stuck, generator=torch.Generator().manual_seed(0))
        >>> found.mixture.means.flatten().sort().values.round(decimals=2)
        tensor([ 0.,  5., 10.])
    """
    settings = _Settings(n_candidates, n_partial, max_iter, tol, reg_covar, min_variance)
    _check(mixture, settings, max_rounds)
    kind, M, K = mixture.structure, mixture.batch_shape.numel(), mixture.means.shape[-2]
    points, shape = open_points(
        data,
        chunk_size=chunk_size,
        row_numbers=lambda D: kind.row_numbers(M * (n_candidates + 1), K, D),
        wide=kind.on_diagonal,
    )
    if not points.is_alone:
        raise ValueError("data must all be in this process, got part of them")
    if shape != tuple(mixture.batch_shape[: len(shape)]):
        got = tuple(mixture.batch_shape)
        raise ValueError(
            f"mixture must have a batch shape that begins {shape}, as the data, got {got}"
        )
    if points.n_features != mixture.n_features:
        raise ValueError(
            f"data must have {mixture.n_features} features, as the mixture, got {points.n_features}"
        )
    flat = mixture.flatten(len(shape)).to(points.device)
    before = _log_likelihood(points, flat)
    flat, after, n_changes = _refine(points, flat, before, settings, max_rounds, generator)
    batch = mixture.batch_shape
    numbers = (t.reshape(batch) for t in (after, before, n_changes))
    return SplitMerge(flat.reshape(tuple(batch)), *numbers)


def _refine(
    points: Points,
    mixture: Mixture,
    before: Tensor,
    settings: _Settings,
    max_rounds: int,
    generator: torch.Generator | None,
) -> tuple[Mixture, Tensor, Tensor]:
    """Take mixtures (G, M) through rounds; return them, their log-likelihoods and the changes."""
    kept, highest = [t.clone() for t in mixture.tensors()], before.clone()
    n_changes = torch.zeros_like(before, dtype=torch.int64)
    some = torch.arange(before.shape[1], device=before.device)
    for _ in range(max_rounds):
        part = _with([t[:, some] for t in kept], mixture)
        found, log_likelihood = _round(points, part, settings, generator)
        is_better = log_likelihood > highest[:, some] + settings.tol
        for old, new in zip(kept, found.tensors(), strict=True):
            mask = is_better.view(*is_better.shape, *[1] * (old.ndim - 2))
            old[:, some] = torch.where(mask, new, old[:, some])
        highest[:, some] = torch.where(is_better, log_likelihood, highest[:, some])
        n_changes[:, some] += is_better
        some = some[is_better.any(0)]
        if not len(some):
            break
    return _with(kept, mixture), highest, n_changes


def _round(
    points: Points, mixture: Mixture, settings: _Settings, generator: torch.Generator | None
) -> tuple[Mixture, Tensor]:
    """Return the most likely candidate of every mixture (G, M), and its log-likelihood."""
    old = mixture.relative_to(points.center.double())
    scores = score_components(points, old, generator)
    candidates = find_candidates(scores, old.log_weights, settings.n_candidates)
    slots, (G, M, C, _) = candidates.slots, candidates.slots.shape
    if not candidates.is_valid.any():
        return mixture, torch.full((G, M), -torch.inf, dtype=torch.float64, device=points.device)
    floors = (settings.reg_covar, settings.min_variance)
    three = change(old, slots, scores.drawn)
    three = partial_em(points, old, slots, three, settings.n_partial, *floors)
    log_weights, means, covariances = put_back(old, slots, three).tensors()
    means = means + points.center.double()[:, None, None]
    start = Mixture(log_weights, means, covariances, mixture.covariance_type)
    fit = fit_points(
        points,
        (G,),
        start,
        max_iter=settings.max_iter,
        tol=settings.tol,
        reg_covar=settings.reg_covar,
        min_variance=settings.min_variance,
    )
    found = fit.mixture.to(mixture.means.dtype)
    log_likelihood = _log_likelihood(points, found).masked_fill(fit.singular.any(-1), -torch.inf)
    log_likelihood = log_likelihood.nan_to_num(nan=-torch.inf).view(G, M, C)
    top, best = log_likelihood.masked_fill(~candidates.is_valid, -torch.inf).max(-1)
    rows = best + C * torch.arange(M, device=best.device)
    sets = torch.arange(G, device=best.device).unsqueeze(-1)
    return _with([t[sets, rows] for t in found.tensors()], mixture), top


def _log_likelihood(points: Points, mixture: Mixture) -> Tensor:
    """Return the mean log-likelihood of a point under mixtures as they are, (G, M)."""
    return final_pass(points, mixture).log_evidence / points.sizes.unsqueeze(-1)


def _with(tensors: Sequence[Tensor], mixture: Mixture) -> Mixture:
    return Mixture(tensors[0], tensors[1], tensors[2], mixture.covariance_type)


def _check(mixture: Mixture, settings: _Settings, max_rounds: int) -> None:
    if not isinstance(structure(mixture.covariance_type), Linear):
        known = sorted(name for name, kind in STRUCTURES.items() if isinstance(kind, Linear))
        raise ValueError(
            f"covariance_type must be one of {known} to be split and merged, got "
            f"{mixture.covariance_type!r}"
        )
    check_limits(n_partial=settings.n_partial, max_rounds=max_rounds)
    if settings.n_candidates < 1:
        raise ValueError(f"n_candidates must be at least 1, got {settings.n_candidates}")
