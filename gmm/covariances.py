"""The four covariance structures: each one small class with its densities and its M-step.

Shapes: G data sets, M mixtures of each, K components; the means and covariances that come in are
relative to the centre of the points, in float64. A structure is stateless.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from gmm.columns import Columns
from gmm.points import Block
from gmm.products import project, weighted_sums

LOG_2PI = math.log(2 * math.pi)
_NOISE = 16 * torch.finfo(torch.float64).eps

Joint = Callable[[Block], Tensor]
Moments = tuple[Tensor, Tensor]


class Covariance(ABC):
    """What EM needs to know about one covariance structure."""

    name: str
    on_diagonal = True
    is_shared = False

    @abstractmethod
    def shape(self, K: int, D: int) -> tuple[int, ...]:
        """Return the shape of the covariances of one mixture."""

    @abstractmethod
    def n_parameters(self, K: int, D: int) -> int:
        """Return the number of free numbers in the covariances of one mixture."""

    @abstractmethod
    def row_numbers(self, M: int, K: int, D: int) -> int:
        """Return how many numbers the work on M mixtures keeps per point."""

    @abstractmethod
    def log_joint(
        self, log_weights: Tensor, means: Tensor, covariances: Tensor, columns: Columns
    ) -> Joint:
        """Return a function from a block to log(pi_k N(x_n | mu_k, Sigma_k)), (G, n, M, K)."""

    @abstractmethod
    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        """Return the weighted sums of points and of their squares that `update` needs."""

    @abstractmethod
    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        """Return the new means and covariances from counts (G, M, K) and the summed moments."""

    @abstractmethod
    def floor(self, covariances: Tensor, reg_covar: float, min_variance: float) -> Tensor:
        """Add reg_covar, then raise every variance to min_variance."""

    @abstractmethod
    def is_singular(self, covariances: Tensor, K: int) -> Tensor:
        """Return True for components without a density, (..., K)."""

    @abstractmethod
    def inverse(self, covariances: Tensor) -> Tensor:
        """Return precisions from covariances, or covariances from precisions."""

    @abstractmethod
    def from_variances(self, variances: Tensor) -> Tensor:
        """Return covariances with the variances (..., K, D) on their diagonals."""

    @abstractmethod
    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        """Give white noise (n, D) the covariance of each label's component."""


class Diag(Covariance):
    """A variance per component and feature, (K, D)."""

    name = "diag"

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K, D)

    def row_numbers(self, M: int, K: int, D: int) -> int:
        return 2 * D + 4 * M * K

    def n_parameters(self, K: int, D: int) -> int:
        return K * D

    def log_joint(
        self, log_weights: Tensor, means: Tensor, covariances: Tensor, columns: Columns
    ) -> Joint:
        precisions = covariances.reciprocal()
        linear = columns.pack(means * precisions, -2)
        quadratic = columns.pack(precisions, -2) * -0.5
        constant = log_weights - 0.5 * (
            means.shape[-1] * LOG_2PI + (covariances.log() + means.square() * precisions).sum(-1)
        )

        def joint(block: Block) -> Tensor:
            a, b = linear[block.sets].to(block.x.dtype), quadratic[block.sets].to(block.x.dtype)
            packed = (project(block.x, a) + project(block.squares, b)).double()
            return columns.unpack(packed) + constant[block.sets].unsqueeze(1)

        return joint

    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        weights = columns.pack(resp)
        return weighted_sums(weights, block.x), weighted_sums(weights, block.squares)

    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        first, second = (columns.unpack(m, dim=-2, fill=0) / counts.unsqueeze(-1) for m in moments)
        variances = second - first.square()
        # What is left below rounding is no variance.
        return first, torch.where(variances > _NOISE * second, variances, 0)

    def floor(self, covariances: Tensor, reg_covar: float, min_variance: float) -> Tensor:
        return (covariances + reg_covar).clamp_min(min_variance)

    def is_singular(self, covariances: Tensor, K: int) -> Tensor:
        return ~((covariances > 0) & covariances.isfinite()).all(-1)

    def inverse(self, covariances: Tensor) -> Tensor:
        return covariances.reciprocal()

    def from_variances(self, variances: Tensor) -> Tensor:
        return variances

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        return noise * covariances[labels].sqrt()


class Spherical(Diag):
    """One variance per component, (K,)."""

    name = "spherical"

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K,)

    def n_parameters(self, K: int, D: int) -> int:
        return K

    def log_joint(
        self, log_weights: Tensor, means: Tensor, covariances: Tensor, columns: Columns
    ) -> Joint:
        D = means.shape[-1]
        precisions = covariances.reciprocal()
        linear = columns.pack(means * precisions.unsqueeze(-1), -2)
        constant = log_weights - 0.5 * (
            D * (LOG_2PI + covariances.log()) + means.square().sum(-1) * precisions
        )

        def joint(block: Block) -> Tensor:
            cross = columns.unpack(project(block.x, linear[block.sets].to(block.x.dtype)).double())
            lengths = block.squares.sum(-1, dtype=torch.float64)[..., None, None]
            half_precisions = 0.5 * precisions[block.sets].unsqueeze(1)
            return cross - lengths * half_precisions + constant[block.sets].unsqueeze(1)

        return joint

    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        weights = columns.pack(resp)
        lengths = block.squares.sum(-1, keepdim=True, dtype=torch.float64)
        return weighted_sums(weights, block.x), weights.double().mT @ lengths

    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        first, second = (columns.unpack(m, dim=-2, fill=0) / counts.unsqueeze(-1) for m in moments)
        lengths = second.squeeze(-1)
        variances = (lengths - first.square().sum(-1)) / first.shape[-1]
        return first, torch.where(variances * first.shape[-1] > _NOISE * lengths, variances, 0)

    def is_singular(self, covariances: Tensor, K: int) -> Tensor:
        return ~((covariances > 0) & covariances.isfinite())

    def from_variances(self, variances: Tensor) -> Tensor:
        return variances.mean(-1)

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        return noise * covariances[labels].sqrt().unsqueeze(-1)


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

    def log_joint(
        self, log_weights: Tensor, means: Tensor, covariances: Tensor, columns: Columns
    ) -> Joint:
        D = means.shape[-1]
        whiten, log_det = whitening(covariances)
        constant = columns.pack(log_weights - 0.5 * (D * LOG_2PI + log_det))  # (G, P)
        whiten, means = columns.pack(whiten, -3), columns.pack(means, -2)
        whitened_means = torch.einsum("gpd,gpde->gpe", means, whiten)

        def joint(block: Block) -> Tensor:
            s = block.sets
            # (G, n, P, D) is bounded by the block.
            y = torch.einsum("gnd,gpde->gnpe", block.x, whiten[s]) - whitened_means[s].unsqueeze(1)
            packed = constant[s].unsqueeze(1) - 0.5 * y.square().sum(-1)
            return columns.unpack(packed)

        return joint

    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        difference = block.x.unsqueeze(1) - columns.pack(means, -2)[block.sets].unsqueeze(2)
        weighted = columns.pack(resp).mT.unsqueeze(-1) * difference  # (G, P, n, D)
        return weighted.sum(-2), weighted.mT @ difference

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

    def is_singular(self, covariances: Tensor, K: int) -> Tensor:
        L, failed = torch.linalg.cholesky_ex(covariances)
        pivots, diagonal = L.diagonal(dim1=-2, dim2=-1).square(), covariances.diagonal(0, -2, -1)
        return (failed > 0) | ~(pivots > diagonal * _NOISE / 4).all(-1)

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
        self, log_weights: Tensor, means: Tensor, covariances: Tensor, columns: Columns
    ) -> Joint:
        D = means.shape[-1]
        whiten, log_det = whitening(covariances)  # (G, M, D, D), (G, M)
        whitened_means = means @ whiten
        lengths = whitened_means.square().sum(-1)
        constant = log_weights - 0.5 * (D * LOG_2PI + log_det.unsqueeze(-1) + lengths)

        def joint(block: Block) -> Tensor:
            s = block.sets
            y = block.x.unsqueeze(1) @ whiten[s]  # (G, M, n, D)
            cross = y @ whitened_means[s].mT - 0.5 * y.square().sum(-1, keepdim=True)
            return cross.transpose(1, 2) + constant[s].unsqueeze(1)

        return joint

    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        return weighted_sums(columns.pack(resp), block.x), block.scatter.unsqueeze(1)

    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        """Return means and Sigma = (1/N) sum_k sum_n gamma_nk (x_n - mu_k)(x_n - mu_k)^T."""
        means = columns.unpack(moments[0], dim=-2, fill=0) / counts.unsqueeze(-1)
        shares = (counts / counts.sum(-1, keepdim=True)).unsqueeze(-1)
        total = counts.sum(-1)[..., None, None]
        return means, _without_noise(moments[1] / total, means.mT @ (shares * means))

    def is_singular(self, covariances: Tensor, K: int) -> Tensor:
        return super().is_singular(covariances, K).unsqueeze(-1).expand(*covariances.shape[:-2], K)

    def from_variances(self, variances: Tensor) -> Tensor:
        return torch.diag_embed(variances.mean(-2))

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        return noise @ torch.linalg.cholesky(covariances).mT


STRUCTURES: dict[str, Covariance] = {c.name: c for c in (Diag(), Spherical(), Tied(), Full())}


def structure(name: str) -> Covariance:
    """Return the covariance structure of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in STRUCTURES:
        raise ValueError(f"covariance_type must be one of {sorted(STRUCTURES)}, got {name!r}")
    return STRUCTURES[name]


def whitening(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Return U with U U^T = Sigma^-1, upper triangular, and log|Sigma|; NaN where it has none."""
    L, failed = torch.linalg.cholesky_ex(covariances)
    eye = torch.eye(L.shape[-1], dtype=L.dtype, device=L.device)
    broken = (failed > 0)[..., None, None]
    L = torch.where(broken, eye * torch.nan, L)
    whiten = torch.linalg.solve_triangular(L, eye.expand_as(L), upper=False).mT
    return whiten, 2 * L.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def outer(v: Tensor) -> Tensor:
    """Return v v^T, (..., D, D)."""
    return v.unsqueeze(-1) * v.unsqueeze(-2)


def _without_noise(second: Tensor, square_of_mean: Tensor) -> Tensor:
    """Return their difference, zero in the rows and columns where only rounding is left."""
    covariances = second - square_of_mean
    left = covariances.diagonal(dim1=-2, dim2=-1) > _NOISE * second.diagonal(dim1=-2, dim2=-1)
    return torch.where(left.unsqueeze(-1) & left.unsqueeze(-2), covariances, 0)
