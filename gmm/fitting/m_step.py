"""The M-step: the parameters that weighted sums over all points ask for."""

from dataclasses import replace

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.fitting.conjugate import ConjugatePrior
from gmm.structures import Columns, Moments, structure

_ABANDONED = 1e-12
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
    kind = structure(old.covariance_type)
    counts, moments = sums
    empty = counts < _ABANDONED
    # The offset is scikit-learn's.
    counts = counts + _COUNT_OFFSET
    means, covariances = kind.update(counts, moments, old.means, columns)
    unused = old.log_weights == -torch.inf
    shares = counts.masked_fill(unused, 0)
    keep = empty | unused
    if prior is not None:
        shares, means, covariances = prior.mode(shares, means, covariances, ~unused)
        keep = unused
    covariances = kind.floor(covariances, reg_covar, min_variance)
    log_weights = (shares / shares.sum(-1, keepdim=True)).log()
    means = torch.where(keep.unsqueeze(-1), old.means, means)
    if not kind.is_shared:
        shape = (*keep.shape, *[1] * (covariances.ndim - keep.ndim))
        covariances = torch.where(keep.view(shape), old.covariances, covariances)
    new = replace(old, log_weights=log_weights, means=means, covariances=covariances)
    return new, empty & ~unused
