"""What two Gaussians have in common, for every pair of components of two mixtures."""

import math

import torch
from torch import Tensor

from gmm.mixtures.components import Components

_LOG_2PI = math.log(2 * math.pi)


def overlaps(f: Components, g: Components) -> tuple[Tensor, Tensor]:
    """Return the logarithms of int f_a g_b dx and of int (f_a g_b)^(1/2) dx, each (*B, K_f, K_g).

    The first is N(mu_a | mu_b, Sigma_a + Sigma_b); the second, negative, is the Bhattacharyya
    distance (Kailath 1967). Both come from one factor of the sum of two covariances.
    """
    f, g = _alike(f, g)
    D = f.means.shape[-1]
    mean_log_dets = (f.log_dets.unsqueeze(-1) + g.log_dets.unsqueeze(-2)) / 2
    log_dets, lengths = _of_sums(f, g)
    product = -0.5 * (D * _LOG_2PI + log_dets + lengths)
    root = -0.25 * lengths - 0.5 * (log_dets - D * math.log(2) - mean_log_dets)
    return product, root


def divergences(f: Components, g: Components) -> Tensor:
    """Return the Kullback-Leibler divergences D(f_a || g_b) of components, (*B, K_f, K_g).

    They are (tr(Sigma_b^-1 Sigma_a) + |mu_a - mu_b|^2 - D + log|Sigma_b| - log|Sigma_a|) / 2, the
    length in the metric of Sigma_b^-1.
    """
    f, g = _alike(f, g)
    shift = f.means.unsqueeze(-2) - g.means.unsqueeze(-3)  # (*B, K_f, K_g, D)
    if f.on_diagonal:
        ratio = f.covariances.unsqueeze(-2) / g.covariances.unsqueeze(-3)
        spread = (ratio - 1 - ratio.log()).sum(-1)
        lengths = (shift.square() / g.covariances.unsqueeze(-3)).sum(-1)
    else:
        precisions = torch.cholesky_inverse(g.roots).flatten(-2)
        traces = f.covariances.flatten(-2) @ precisions.mT - f.means.shape[-1]
        spread = traces + g.log_dets.unsqueeze(-2) - f.log_dets.unsqueeze(-1)
        # The points of one right-hand side share their factor: (*B, K_g, D, K_f).
        whitened = torch.linalg.solve_triangular(g.roots, shift.movedim(-3, -1), upper=False)
        lengths = whitened.square().sum(-2).mT
    return (0.5 * (spread + lengths)).clamp_min(0)


def entropies(f: Components) -> Tensor:
    """Return the entropies of the components (Bishop 2006, eq. 2.283), (*B, K or 1)."""
    return gaussian_entropy(f.log_dets, f.means.shape[-1])


def gaussian_entropy(log_dets: Tensor, D: int) -> Tensor:
    """Return (D (1 + log 2 pi) + log|Sigma|) / 2."""
    return 0.5 * (D * (1 + _LOG_2PI) + log_dets)


def _of_sums(f: Components, g: Components) -> tuple[Tensor, Tensor]:
    """Return log|Sigma_a + Sigma_b|, and |mu_a - mu_b|^2 in the metric of its inverse."""
    shift = f.means.unsqueeze(-2) - g.means.unsqueeze(-3)
    if f.on_diagonal:
        sums = f.covariances.unsqueeze(-2) + g.covariances.unsqueeze(-3)
        return sums.log().sum(-1), (shift.square() / sums).sum(-1)
    L = torch.linalg.cholesky(f.covariances.unsqueeze(-3) + g.covariances.unsqueeze(-4))
    log_dets = 2 * L.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    if L.shape[-4:-2] == (1, 1):  # one factor for all pairs
        vectors = shift.flatten(-3, -2).mT
        whitened = torch.linalg.solve_triangular(L[..., 0, 0, :, :], vectors, upper=False)
        return log_dets, whitened.square().sum(-2).unflatten(-1, shift.shape[-3:-1])
    whitened = torch.linalg.solve_triangular(L, shift.unsqueeze(-1), upper=False)
    return log_dets, whitened.square().sum((-2, -1))


def _alike(f: Components, g: Components) -> tuple[Components, Components]:
    if f.on_diagonal == g.on_diagonal:
        return f, g
    return f.as_matrices(), g.as_matrices()
