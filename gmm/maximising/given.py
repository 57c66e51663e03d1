"""Parameters that a user gives EM to begin with: their rules, and what EM makes of them."""

from typing import Any

import torch
from torch import Tensor

from gmm.structures import Covariance

# Each message says our rule, then scikit-learn's sentence for it, which its users search for.


def given_weights(weights: Tensor | None, K: int) -> Tensor | None:
    """Check the given weights and return their logarithms, (K,) in float64.

    Raises:
        ValueError: If they are not K positive numbers that add up to one.
    """
    if weights is None:
        return None
    _check_shape("weights_init", "weights", weights, (K,))
    w = weights.double()
    low, high = float(w.min()), float(w.max())
    if not (low > 0 and high <= 1):
        # scikit-learn prints the two the other way round.
        raise ValueError(
            f"weights_init must be above 0 and at most 1, got {low:.5f} to {high:.5f}: The "
            "parameter 'weights' should be in the range [0, 1], but got max value "
            f"{low:.5f}, min value {high:.5f}"
        )
    total = float(w.sum())
    if abs(total - 1) > (1e-8 if weights.dtype == torch.float64 else 1e-6):
        raise ValueError(
            f"weights_init must add up to 1, got {total:.5f}: The parameter 'weights' should be "
            f"normalized, but got sum(weights) = {total:.5f}"
        )
    return w.log()


def given_means(means: Tensor | None, K: int, D: int) -> Tensor | None:
    """Check the given means and return them, (K, D) in float64.

    Raises:
        ValueError: If they have another shape or are not finite.
    """
    if means is None:
        return None
    _check_shape("means_init", "means", means, (K, D))
    _check_finite("means_init", means)
    return means.double()


def given_precisions(precisions: Tensor | None, kind: Covariance, K: int, D: int) -> Tensor | None:
    """Check the given precisions and return their inverses, the covariances, in float64.

    Raises:
        ValueError: If the structure has none, or they have another shape or are not positive
            (definite).
    """
    if precisions is None:
        return None
    if not kind.takes_precisions:
        raise ValueError(
            f"precisions_init must be None with covariance_type {kind.name!r}, got shape "
            f"{tuple(precisions.shape)}; to begin with given factors, pass a Mixture to fit_em"
        )
    name = f"{kind.name} precision"
    _check_shape("precisions_init", name, precisions, kind.shape(K, D))
    _check_finite("precisions_init", precisions)
    p = precisions.double()
    symmetric = kind.on_diagonal or torch.allclose(p, p.mT)
    bad = kind.is_singular(p, kind.factor(p), K)
    if not symmetric or bad.any():
        rule = "positive" if kind.on_diagonal else "symmetric, positive-definite"
        where = f" for component {int(bad.nonzero()[0])}" if bad.any() else ""
        raise ValueError(f"precisions_init must be {rule}{where}: '{name}' should be {rule}")
    return kind.inverse(p)


def given_mean(name: str, mean: Any, D: int) -> Tensor:
    """Check a prior's mean and return it, (D,) in float64.

    Raises:
        ValueError: If it has another shape or is not finite.
    """
    given = _doubles(mean)
    _check_shape(name, "means", given, (D,))
    _check_finite(name, given)
    return given


def given_covariance(name: str, covariance: Any, kind: Covariance, D: int) -> Tensor:
    """Check a prior's covariance and return it in float64.

    It has the shape of one component: (D,) if diag, () if spherical, (D, D) if tied or full.

    Raises:
        ValueError: If it has another shape or is not positive (definite).
    """
    given = _doubles(covariance)
    shape = kind.shape(1, D)
    _check_shape(name, f"{kind.name} {name}", given, shape if kind.is_shared else shape[1:])
    _check_finite(name, given)
    one = given if kind.is_shared else given.unsqueeze(0)
    symmetric = kind.on_diagonal or torch.allclose(given, given.mT)
    if not symmetric or kind.is_singular(one, kind.factor(one), 1).any():
        rule = "positive" if kind.on_diagonal else "symmetric, positive-definite"
        raise ValueError(f"{name} must be {rule}: '{kind.name} {name}' should be {rule}")
    return given


def _doubles(value: Any) -> Tensor:
    # A copy of an array, which may be read-only.
    return value.double() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


def _check_shape(name: str, known_as: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(value.shape) != shape:
        raise ValueError(
            f"{name} must have shape {shape}, got {tuple(value.shape)}: The parameter "
            f"'{known_as}' should have the shape of {shape}, but got {tuple(value.shape)}"
        )


def _check_finite(name: str, value: Tensor) -> None:
    if not value.isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
