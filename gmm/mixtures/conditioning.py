"""Marginal and conditional distributions of mixtures."""

import math
from collections.abc import Iterable
from operator import index

import torch
from torch import Tensor

from gmm.mixtures.components import Components, components, normalised, roots
from gmm.structures import structure


def positions(dims: Iterable[int], n_features: int) -> list[int]:
    """Return the features that dims names, counted from 0, in the same order.

    Args:
        dims: Features; -1 is the last.
        n_features: D.

    Raises:
        ValueError: If there are none, one is named twice, or one does not exist.
    """
    given = [index(d) for d in dims]
    if not given:
        raise ValueError("dims must name at least one feature, got none")
    if any(not -n_features <= d < n_features for d in given):
        raise ValueError(f"dims must be from {-n_features} to {n_features - 1}, got {given}")
    found = [d % n_features for d in given]
    if len(set(found)) < len(found):
        raise ValueError(f"dims must name no feature twice, got {given}")
    return found


def condition(
    parameters: tuple[Tensor, Tensor, Tensor],
    covariance_type: str,
    dims: Iterable[int],
    values: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the parameters of p(x_b | x_a = values), a mixture again.

    Each component is conditioned (Bishop 2006, eqs. 2.81-2.82), and its weight becomes
    proportional to pi_k N(values | mu_a, Sigma_aa): Bayes' rule with the marginal of eq. 2.98.

    Args:
        parameters: Log weights, means and covariances, as those of `gmm.Mixture`, *B.
        covariance_type: diag, spherical, tied or full.
        dims: The features a; b are the others, in their order.
        values: Of these features, (*V, len(dims)).

    Returns:
        The same three of mixtures with the structure of those given, batch shape (*B, *V), in
        float64. Covariances do not depend on the values, so that they are views of one for all V.

    Raises:
        ValueError: If dims or values break their rules, or a covariance is not positive definite.
    """
    log_weights, means, covariances = parameters
    kind, (*batch, K, D) = structure(covariance_type), means.shape
    a = positions(dims, D)
    b = [d for d in range(D) if d not in a]
    _check(values, a, b)
    of_all = components(log_weights, means, covariances, covariance_type)
    rows = values.reshape(-1, len(a)).to(of_all.means)
    on_each = _on_diagonal if kind.on_diagonal else _on_matrices
    log_density, shifted, matrices = on_each(of_all, a, b, rows)
    log_joint = of_all.log_weights.unsqueeze(-1) + log_density  # (*B, K, V)
    if kind.on_diagonal:
        matrices = kind.marginal(covariances.double(), b)
    elif kind.is_shared:
        matrices = matrices.squeeze(-3)
    shape, n = (*batch, *values.shape[:-1]), len(batch)
    each = matrices.unsqueeze(n).expand(*batch, len(rows), *matrices.shape[n:])
    return (
        normalised(log_joint, -2).mT.reshape(*shape, K),
        shifted.transpose(-2, -3).reshape(*shape, K, len(b)),
        each.reshape(*shape, *matrices.shape[n:]),
    )


def _check(values: Tensor, a: list[int], b: list[int]) -> None:
    if not b:
        raise ValueError(f"dims must leave at least one feature, got all {len(a)}")
    if values.shape[-1:] != (len(a),):
        raise ValueError(
            f"values must have shape (..., {len(a)}), one for each of dims, got "
            f"{tuple(values.shape)}"
        )
    if not values.isfinite().all():
        raise ValueError("values must be finite, got NaN or infinity")


def _on_matrices(
    of_all: Components, a: list[int], b: list[int], rows: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return log N(rows | mu_a, Sigma_aa), and means (*B, K, V, b) and covariances of x_b.

    With the features in the order a, b, the Cholesky factor L of a covariance has all of it:
    Sigma_aa = L_aa L_aa^T, Sigma_ba Sigma_aa^-1 = L_ba L_aa^-1, and L_bb L_bb^T is the
    conditional covariance, without a difference that might lose its sign.
    """
    A, order = len(a), [*a, *b]
    L = roots(of_all.covariances[..., order, :][..., order], on_diagonal=False)
    L_aa, L_ba, L_bb = L[..., :A, :A], L[..., A:, :A], L[..., A:, A:]
    distance = (rows - of_all.means[..., a].unsqueeze(-2)).mT  # (*B, K, a, V)
    whitened = torch.linalg.solve_triangular(L_aa, distance, upper=False)
    log_density = _log_density(whitened.mT, L_aa.diagonal(dim1=-2, dim2=-1))
    means = of_all.means[..., b].unsqueeze(-2) + (L_ba @ whitened).mT
    return log_density, means, L_bb @ L_bb.mT


def _on_diagonal(
    of_all: Components, a: list[int], b: list[int], rows: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Do the same for variances, where x_b depends on x_a through the weights alone."""
    scales = of_all.roots[..., a]
    whitened = (rows - of_all.means[..., a].unsqueeze(-2)) / scales.unsqueeze(-2)
    means = of_all.means[..., b].unsqueeze(-2).expand(*whitened.shape[:-1], len(b))
    return _log_density(whitened, scales), means, of_all.covariances[..., b]


def _log_density(whitened: Tensor, scales: Tensor) -> Tensor:
    """Return the log-density (*B, K, V) of whitened (*B, K, V, a) times scales (*B, K or 1, a)."""
    lengths = whitened.square().sum(-1) + whitened.shape[-1] * math.log(2 * math.pi)
    return -0.5 * lengths - scales.log().sum(-1, keepdim=True)
