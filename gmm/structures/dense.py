"""Covariances with correlations: a matrix per component, or one for all components."""

import torch
from torch import Tensor

from gmm.points import Block
from gmm.structures.columns import Columns
from gmm.structures.covariance import LOG_2PI, NOISE, Covariance, Joint, Moments
from gmm.structures.products import weighted_sums

_LARGE = 512  # features


class Full(Covariance):
    """A matrix per component, (K, D, D)."""

    name = "full"
    on_diagonal = False

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K, D, D)

    def row_numbers(self, M: int, K: int, D: int) -> int:
        return (3 * M * K + 1) * D

    def n_parameters(self, K: int, D: int) -> int:
        return K * D * (D + 1) // 2

    def factor(self, covariances: Tensor) -> Tensor:
        """Return lower triangular L with L L^T = Sigma; NaN where Sigma is singular."""
        L, failed = _cholesky(covariances)
        return L.masked_fill((failed > 0)[..., None, None], torch.nan)

    def log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        D = means.shape[-1]
        whiten, log_det = _inverted(factors)
        constant = columns.pack(log_weights - 0.5 * (D * LOG_2PI + log_det))  # (G, P)
        whiten, means = columns.pack(whiten, -3), columns.pack(means, -2)
        whitened_means = torch.einsum("gpd,gpde->gpe", means, whiten)

        def joint(block: Block) -> Tensor:
            s = block.sets
            # (G, n, P, D) is bounded by the block.
            y = torch.einsum("gnd,gpde->gnpe", block.x, whiten[s])
            y.sub_(whitened_means[s].unsqueeze(1))
            packed = constant[s].unsqueeze(1) - 0.5 * squared_length(y)
            return columns.unpack(packed)

        return joint

    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        weights, means = columns.pack(resp), columns.pack(means, -2)[block.sets]
        counts = weights.sum(1).unsqueeze(-1)
        shift = weighted_sums(weights, block.x) - counts * means
        difference = block.x.unsqueeze(1) - means.unsqueeze(2)  # (G, P, n, D)
        difference.mul_(weights.mT.sqrt().unsqueeze(-1))
        return shift, difference.mT @ difference

    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        shift = columns.unpack(moments[0], dim=-2, fill=0) / counts.unsqueeze(-1)
        second = columns.unpack(moments[1], dim=-3, fill=0) / counts[..., None, None]
        return means + shift, _without_noise(second, outer(shift))

    def floor(self, covariances: Tensor, reg_covar: float, min_variance: float) -> Tensor:
        """Add reg_covar to the diagonal, then raise every eigenvalue to min_variance."""
        eye = torch.eye(covariances.shape[-1], dtype=covariances.dtype, device=covariances.device)
        covariances = covariances + reg_covar * eye
        if min_variance == 0:
            return covariances
        finite = torch.where(covariances.isfinite(), covariances, eye)
        values, vectors = torch.linalg.eigh(finite)
        raised = vectors * values.clamp_min(min_variance).unsqueeze(-2) @ vectors.mT
        return torch.where(values[..., :1, None] < min_variance, raised, covariances)

    def is_singular(self, covariances: Tensor, factors: Tensor, K: int) -> Tensor:
        pivots, variances = factors.diagonal(0, -2, -1).square(), covariances.diagonal(0, -2, -1)
        broken: Tensor = ~(pivots > variances * NOISE / 4).all(-1)
        return broken

    def inverse(self, covariances: Tensor) -> Tensor:
        return torch.cholesky_inverse(torch.linalg.cholesky(covariances))

    def from_variances(self, variances: Tensor) -> Tensor:
        return torch.diag_embed(variances)

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        coloured = torch.empty_like(noise)
        for k, L in enumerate(torch.linalg.cholesky(covariances)):
            coloured[labels == k] = noise[labels == k] @ L.mT
        return coloured


class Tied(Full):
    """One matrix for all components of a mixture, (D, D)."""

    name = "tied"
    is_shared = True

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (D, D)

    def row_numbers(self, M: int, K: int, D: int) -> int:
        return (M + 1) * D + 4 * M * K

    def n_parameters(self, K: int, D: int) -> int:
        return D * (D + 1) // 2

    def log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        D = means.shape[-1]
        whiten, log_det = _inverted(factors)  # (G, M, D, D), (G, M)
        whitened_means = means @ whiten
        lengths = whitened_means.square().sum(-1)
        constant = log_weights - 0.5 * (D * LOG_2PI + log_det.unsqueeze(-1) + lengths)

        def joint(block: Block) -> Tensor:
            s = block.sets
            y = block.x.unsqueeze(1) @ whiten[s]  # (G, M, n, D)
            cross = y @ whitened_means[s].mT
            cross.sub_(squared_length(y).mul_(0.5).unsqueeze(-1))
            return cross.transpose(1, 2) + constant[s].unsqueeze(1)

        return joint

    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        return weighted_sums(columns.pack(resp), block.x), block.scatter.unsqueeze(1)

    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        """Return the means and Sigma = (1/N) sum_k sum_n gamma_nk (x_n - mu_k)(x_n - mu_k)^T."""
        means = columns.unpack(moments[0], dim=-2, fill=0) / counts.unsqueeze(-1)
        shares = (counts / counts.sum(-1, keepdim=True)).unsqueeze(-1)
        total = counts.sum(-1)[..., None, None]
        return means, _without_noise(moments[1] / total, means.mT @ (shares * means))

    def is_singular(self, covariances: Tensor, factors: Tensor, K: int) -> Tensor:
        broken = super().is_singular(covariances, factors, K)
        return broken.unsqueeze(-1).expand(*broken.shape, K)

    def from_variances(self, variances: Tensor) -> Tensor:
        return torch.diag_embed(variances.mean(-2))

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        root: Tensor = torch.linalg.cholesky(covariances)
        return noise @ root.mT


def whitening(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Return upper triangular U with U U^T = Sigma^-1, and log|Sigma|; NaN if Sigma is singular."""
    return _inverted(Full().factor(covariances))


def squared_length(y: Tensor) -> Tensor:
    """Return the squared lengths of vectors, (..., D), in one pass over them, (...)."""
    length: Tensor = torch.linalg.vector_norm(y, dim=-1)
    return length.square_()


def _inverted(L: Tensor) -> tuple[Tensor, Tensor]:
    """Return U = L^-T and log|L L^T| for lower triangular L."""
    eye = torch.eye(L.shape[-1], dtype=L.dtype, device=L.device)
    whiten = torch.linalg.solve_triangular(L, eye.expand_as(L), upper=False).mT
    return whiten, 2 * L.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _cholesky(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Cholesky factors, (..., D, D), and which of them failed, (...)."""
    if covariances.is_cpu or covariances.shape[-1] < _LARGE or covariances.ndim == 2:
        alone: tuple[Tensor, Tensor] = torch.linalg.cholesky_ex(covariances)
        return alone
    # The batched routine is made for small matrices.
    each = [torch.linalg.cholesky_ex(c) for c in covariances.flatten(0, -3)]
    L, failed = (torch.stack(parts) for parts in zip(*each, strict=True))
    return L.view_as(covariances), failed.view(covariances.shape[:-2])


def outer(v: Tensor) -> Tensor:
    """Return the outer product v v^T, (..., D, D)."""
    return v.unsqueeze(-1) * v.unsqueeze(-2)


def _without_noise(second: Tensor, square_of_mean: Tensor) -> Tensor:
    """Return second - square_of_mean, with zero rows and columns where only rounding is left."""
    covariances = second - square_of_mean
    left = covariances.diagonal(dim1=-2, dim2=-1) > NOISE * second.diagonal(dim1=-2, dim2=-1)
    return covariances.masked_fill(~(left.unsqueeze(-1) & left.unsqueeze(-2)), 0)
