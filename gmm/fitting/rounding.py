"""What the dtype of a fit can hold of it: its range, its precisions and its log-likelihoods."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gmm.mixtures.mixture import Mixture
from gmm.points import Points
from gmm.structures import whitening

# scikit-learn's words, which its users search for.
ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical "
    "covariance (for instance caused by singleton or collapsed samples). Try to decrease the "
    "number of components, increase reg_covar, or scale the input data."
)


def check_range(mixture: Mixture, singular: Tensor, points: Callable[[], Points]) -> None:
    """Check that the dtype of fitted mixtures can hold them, and the squares of their points.

    Args:
        mixture: Mixtures of batch shape *B.
        singular: Components that lost their covariance, (*B, K).
        points: Returns what they were fitted to; called only where something is amiss.

    Raises:
        ValueError: If the squares overflow, or a variance underflows.
    """
    limits = torch.finfo(mixture.means.dtype)
    variances = _variances(mixture)
    used = mixture.log_weights != -torch.inf
    finite = (mixture.means + variances).isfinite().all(-1) & mixture.weights.isfinite()
    small = (variances < limits.tiny).any(-1) & ~singular.any(-1, keepdim=True)
    if not (used & (~finite | small | singular)).any():
        return
    dtype, remedy = _words(mixture.means.dtype)
    found = points()
    squares = float((found.moments[1].sum(-1) * found.sizes).max())
    if not squares < limits.max:
        raise ValueError(
            f"X must have squares about its mean that add up to less than {limits.max:.1e} "
            f"({dtype}), got {squares:.1e}; {remedy}"
        )
    if (used & small).any():
        least = float(variances[used & small].min())
        raise ValueError(
            f"X must have a variance of at least {limits.tiny:.1e} ({dtype}) in every component, "
            f"got {least:.1e}; raise reg_covar, {remedy}"
        )


def precisions_of(mixture: Mixture) -> tuple[Tensor | None, Tensor | None]:
    """Return the inverses of one mixture's covariances, as rounded to its dtype, and their roots.

    Both are None where they would be far larger than the covariances: of factor and ppca.

    Raises:
        ValueError: If that dtype leaves one without an inverse.
    """
    kind, dtype = mixture.structure, mixture.means.dtype
    if not kind.takes_precisions:
        return None, None
    covariances = mixture.covariances.double()
    if kind.on_diagonal:
        precisions = kind.inverse(covariances)
        roots, is_noise = precisions.sqrt(), torch.zeros((), dtype=torch.bool)
    else:
        roots, _ = whitening(covariances)
        rounded = roots.to(dtype)
        precisions = rounded @ rounded.mT
        # The variance of a feature over what is left of it when the features before it are known.
        share = roots.diagonal(0, -2, -1).square() * covariances.diagonal(0, -2, -1)
        is_noise = (share > 1 / torch.finfo(dtype).eps).any()
    found = precisions.to(dtype)
    if is_noise or not found.isfinite().all():
        name, remedy = _words(dtype)
        raise ValueError(
            f"covariances must have an inverse in {name}, got one that has none; raise reg_covar, "
            f"{remedy}: {ILL_DEFINED}"
        )
    return found, roots.to(dtype)


def settled(log_likelihood: Tensor) -> Any:
    """Return mean log-likelihoods as an array, without the digits that hang on the restarts beside.

    How many restarts are one batch decides in which order numbers are summed; with those digits,
    the same restart would seem better or worse for it.
    """
    values = log_likelihood.double().cpu()
    scale = 10 ** (11 - values.abs().clamp_min(1).log10()).floor()
    return torch.where(values.isfinite(), (values * scale).round() / scale, values).numpy()


def _words(dtype: torch.dtype) -> tuple[str, str]:
    """Return the name of a dtype, and what helps where it is too small."""
    name = str(dtype).removeprefix("torch.")
    return name, "scale X" if dtype == torch.float64 else "scale X, or fit in float64"


def _variances(mixture: Mixture) -> Tensor:
    """Return the variance of every component and feature, (*B, K, D)."""
    covariances, kind = mixture.covariances, mixture.structure
    if not kind.takes_precisions:  # of factors and noise
        return covariances[..., :-1].square().sum(-1) + covariances[..., -1]
    if not kind.on_diagonal:
        covariances = covariances.diagonal(0, -2, -1)
        covariances = covariances.unsqueeze(-2) if kind.is_shared else covariances
    elif covariances.ndim < mixture.means.ndim:
        covariances = covariances.unsqueeze(-1)
    return covariances.expand_as(mixture.means)
