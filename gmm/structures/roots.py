"""Inverse roots of covariance matrices, of which densities are made."""

import torch
from torch import Tensor

from gmm.kernels import use_kernels

# Features of the largest matrices that a GPU factors as they are, and a CPU by PyTorch.
_SMALL = 256
_SMALL_ON_CPU = 96
# And of those that are left when larger ones are taken apart: PyTorch takes up to 64 all at once.
_TINY = 48
# Matrices at once from which on it pays to take larger ones apart.
_SEVERAL = 3


def whitening(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Return upper triangular U with U U^T = Sigma^-1, and log|Sigma|; NaN if Sigma is singular."""
    factors = inverse_root(covariances).mT
    return factors, log_det(factors)


def log_det(factors: Tensor) -> Tensor:
    """Return log|Sigma| from U with U U^T = Sigma^-1."""
    return -2 * factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def inverse_root(covariances: Tensor) -> Tensor:
    """Return the inverses of the Cholesky factors, (..., D, D); NaN where there are none."""
    n, D = covariances.shape[:-2].numel(), covariances.shape[-1]
    if use_kernels(covariances.device):
        is_large = D > _SMALL_ON_CPU and n > 1 and covariances.dtype == torch.float64
        return (_side_by_side if is_large else _of_whole)(covariances)
    if D <= _SMALL or n < _SEVERAL:
        return _of_whole(covariances)
    return _by_halves(covariances)


def _of_whole(covariances: Tensor) -> Tensor:
    L, failed = torch.linalg.cholesky_ex(covariances)
    L = L.masked_fill((failed > 0)[..., None, None], torch.nan)
    eye = torch.eye(L.shape[-1], dtype=L.dtype, device=L.device)
    inverse: Tensor = torch.linalg.solve_triangular(L, eye.expand_as(L), upper=False)
    return inverse


def _side_by_side(covariances: Tensor) -> Tensor:
    """Give a matrix at a time to each core."""
    from gmm.kernels.lapack import invert_roots

    made = torch.empty_like(covariances, memory_format=torch.contiguous_format).copy_(covariances)
    invert_roots(made.flatten(0, -3).numpy())
    return made.mT


def _by_halves(covariances: Tensor) -> Tensor:
    """Take the matrices apart, so that a GPU spends its time in products."""
    n = covariances.shape[-1]
    if n <= _TINY:
        return _of_whole(covariances)
    h = n // 2
    first = _by_halves(covariances[..., :h, :h])
    below = covariances[..., h:, :h] @ first.mT  # of the Cholesky factor
    second = _by_halves(covariances[..., h:, h:] - below @ below.mT)
    inverse = torch.zeros_like(covariances)
    inverse[..., :h, :h], inverse[..., h:, h:] = first, second
    inverse[..., h:, :h] = -(second @ (below @ first))
    return inverse
