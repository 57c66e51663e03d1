"""The M-step: the parameters that weighted sums over all points ask for."""

from dataclasses import replace

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.maximising.conjugate import ConjugatePrior
from gmm.structures import Columns, Moments, structure

_ABANDONED = 1e-12
# What scikit-learn adds to counts.
_COUNT_OFFSET = 10 * torch.finfo(torch.float64).eps


def m_step(
    sums: tuple[Tensor, Moments],
    old: Parameters,
    columns: Columns,
    reg_covar: float,
    min_variance: float,
    prior: ConjugatePrior | None = None,
) -> tuple[Parameters, Tensor]:
    """Return the parameters that the responsibilities give (Bishop 2006, eqs. 9.24-9.27).

    Args:
        sums: Counts (G, M, K) and moments, of the E-step.
        old: Parameters that components without points keep.
        columns: Packing of the components.
        reg_covar: See `fit_em`.
        min_variance: See `fit_em`.
        prior: With one, the new parameters are the mode of the posterior that the
            responsibilities give.

    Returns:
        The new parameters, and which components are empty, (G, M, K).
    """
    means, covariances = maxima(sums, old, columns)
    return parameters_of(sums[0], means, covariances, old, reg_covar, min_variance, prior)


def maxima(
    sums: tuple[Tensor, Moments], old: Parameters, columns: Columns
) -> tuple[Tensor, Tensor]:
    """Return the means and covariances of the points of every component, without any floor.

    The arguments are those of `m_step`.
    """
    counts, moments = sums
    kind = structure(old.covariance_type)
    return kind.update(counts + _COUNT_OFFSET, moments, old.means, columns)


def parameters_of(
    counts: Tensor,
    means: Tensor,
    covariances: Tensor,
    old: Parameters,
    reg_covar: float,
    min_variance: float,
    prior: ConjugatePrior | None = None,
) -> tuple[Parameters, Tensor]:
    """Return the parameters of components with so many points, and of such means and covariances.

    Args:
        counts: Points of every component, (G, M, K).
        means: Theirs, (G, M, K, D).
        covariances: Theirs, (G, M, *shape).
        old: See `m_step`, as for the rest and for what is returned.
        reg_covar: See there.
        min_variance: See there.
        prior: See there.
    """
    kind = structure(old.covariance_type)
    empty = counts < _ABANDONED
    unused = old.log_weights == -torch.inf
    shares = (counts + _COUNT_OFFSET).masked_fill(unused, 0)
    keep = empty | unused
    if prior is not None:
        shares, means, covariances = prior.mode(shares, means, covariances, ~unused)
        keep = unused
    covariances = kind.floor(covariances, reg_covar, min_variance)
    log_weights = (shares / shares.sum(-1, keepdim=True)).log()
    means = torch.where(keep.unsqueeze(-1), old.means, means)
    if not kind.is_shared:
        shape = (*keep.shape, *[1] * (covariances.ndim - keep.ndim))
        torch.where(keep.view(shape), old.covariances, covariances, out=covariances)
    new = replace(old, log_weights=log_weights, means=means, covariances=covariances)
    return new, empty & ~unused
