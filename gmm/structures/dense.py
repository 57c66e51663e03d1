"""Covariances with correlations: a matrix per component, or one for all components."""

from functools import cache

import torch
from torch import Tensor

from gmm.kernels import NONE, PAIRS
from gmm.points import Block, Points
from gmm.structures.columns import Columns
from gmm.structures.covariance import LOG_2PI, NOISE, Covariance, Joint, Linear, Moments
from gmm.structures.products import weighted_sums
from gmm.structures.roots import inverse_root, log_det
from gmm.structures.statistics import FEW_FEATURES, ExponentialFamily, padded


class Dense(Covariance):
    """What structures with correlations have in common."""

    on_diagonal = False

    def factor(self, covariances: Tensor) -> Tensor:
        """Return upper triangular U with U U^T = Sigma^-1; NaN where Sigma is singular."""
        return inverse_root(covariances).mT

    def floor(self, covariances: Tensor, reg_covar: float, min_variance: float) -> Tensor:
        """Add reg_covar to the diagonal, then raise every eigenvalue to min_variance."""
        covariances = covariances.clone()
        covariances.diagonal(dim1=-2, dim2=-1).add_(reg_covar)
        if min_variance == 0:
            return covariances
        eye = torch.eye(covariances.shape[-1], dtype=covariances.dtype, device=covariances.device)
        finite = torch.where(covariances.isfinite(), covariances, eye)
        values, vectors = torch.linalg.eigh(finite)
        raised = vectors * values.clamp_min(min_variance).unsqueeze(-2) @ vectors.mT
        return torch.where(values[..., :1, None] < min_variance, raised, covariances)

    def is_singular(self, covariances: Tensor, factors: Tensor, K: int) -> Tensor:
        inverse, variances = factors.diagonal(0, -2, -1).square(), covariances.diagonal(0, -2, -1)
        broken: Tensor = ~(inverse * variances < 4 / NOISE).all(-1)
        return broken

    def inverse(self, covariances: Tensor) -> Tensor:
        return torch.cholesky_inverse(torch.linalg.cholesky(covariances))

    def marginal(self, covariances: Tensor, dims: list[int]) -> Tensor:
        return covariances[..., dims, :][..., dims]

    def per_component(self, covariances: Tensor, D: int) -> Tensor:
        return covariances.unsqueeze(-3) if self.is_shared else covariances

    def log_det(self, factors: Tensor, D: int) -> Tensor:
        return log_det(factors)


class Full(Dense, ExponentialFamily):
    """A matrix per component, (K, D, D)."""

    name = "full"
    products = PAIRS

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K, D, D)

    def row_numbers(self, M: int, K: int, D: int) -> int:
        n_statistics = D * (D + 5) // 2 if D <= FEW_FEATURES else 0
        return max((3 * M * K + 1) * D, n_statistics + 4 * M * K)

    def n_parameters(self, K: int, D: int) -> int:
        return K * D * (D + 1) // 2

    def statistics(self, x: Tensor) -> Tensor:
        """Return x, 1, and all products of two of its features.

        As the squares of structures without correlations, products are relative to the centre of
        all points: densities lose digits where a component is narrow and far from there.
        """
        i, j = _pairs(x.shape[-1], x.device)
        products = x.index_select(-1, i) * x.index_select(-1, j)
        return padded(x, torch.ones_like(x[..., :1]), products)

    def natural(self, log_weights: Tensor, means: Tensor, factors: Tensor) -> Tensor:
        D = means.shape[-1]
        precisions = factors @ factors.mT
        linear = (precisions @ means.unsqueeze(-1)).squeeze(-1)
        constant = log_weights - 0.5 * (D * LOG_2PI + log_det(factors) + (means * linear).sum(-1))
        i, j = _pairs(D, means.device)
        # a product of two features stands for both of their places in the matrix
        products = precisions[..., i, j] * ((i == j).to(means.dtype) * 0.5 - 1)
        return padded(linear, constant.unsqueeze(-1), products)

    def apart(self, sums: Tensor, means: Tensor, points: Points | None) -> tuple[Tensor, Moments]:
        D = means.shape[-1]
        first, counts = sums[..., :D], sums[..., D]
        second = sums[..., D + 1 :].index_select(-1, _places(D, means.device))
        shift = first - counts.unsqueeze(-1) * means
        about_means = second.unflatten(-1, (D, D)) - first.unsqueeze(-1) * means.unsqueeze(-2)
        return counts, (shift, about_means.sub_(means.unsqueeze(-1) * shift.unsqueeze(-2)))

    def direct_log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        D = means.shape[-1]
        constant = columns.pack(log_weights - 0.5 * (D * LOG_2PI + log_det(factors)))  # (G, P)
        whiten, means = columns.pack(factors, -3), columns.pack(means, -2)
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
        noise = NOISE * second.diagonal(dim1=-2, dim2=-1)
        second.addcmul_(shift.unsqueeze(-1), shift.unsqueeze(-2), value=-1)
        return means + shift, _without_noise(second, noise)

    def from_variances(self, variances: Tensor) -> Tensor:
        return torch.diag_embed(variances)

    def scatter(
        self, counts: Tensor, covariances: Tensor, weights: Tensor, offsets: Tensor
    ) -> Tensor:
        n, w = counts[..., None, None], weights[..., None, None]
        return n * covariances + w * outer(offsets)

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        coloured = torch.empty_like(noise)
        for k, L in enumerate(torch.linalg.cholesky(covariances)):
            coloured[labels == k] = noise[labels == k] @ L.mT
        return coloured


class Tied(Dense, Linear):
    """One matrix for all components of a mixture, (D, D)."""

    name = "tied"
    products = NONE
    is_whole = False
    is_shared = True

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (D, D)

    def row_numbers(self, M: int, K: int, D: int) -> int:
        return (M + 1) * D + 4 * M * K

    def n_parameters(self, K: int, D: int) -> int:
        return D * (D + 1) // 2

    def natural(self, log_weights: Tensor, means: Tensor, factors: Tensor) -> Tensor:
        D = means.shape[-1]
        whitened_means = means @ factors
        lengths = whitened_means.square().sum(-1)
        constant = log_weights - 0.5 * (D * LOG_2PI + log_det(factors).unsqueeze(-1) + lengths)
        return torch.cat([whitened_means @ factors.mT, constant.unsqueeze(-1)], -1)

    def apart(self, sums: Tensor, means: Tensor, points: Points | None) -> tuple[Tensor, Moments]:
        assert points is not None
        D = means.shape[-1]
        return sums[..., D], (sums[..., :D], points.scatter.unsqueeze(1))

    def log_evidence_of_all(self, factors: Tensor, points: Points) -> Tensor:
        """Return the sum over all points of -x^T Sigma^-1 x / 2, (G, M)."""
        scatter = points.scatter.unsqueeze(1)
        return -0.5 * ((scatter @ factors) * factors).sum((-2, -1))

    def log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        D = means.shape[-1]
        whitened_means = means @ factors
        lengths = whitened_means.square().sum(-1)
        constant = log_weights - 0.5 * (D * LOG_2PI + log_det(factors).unsqueeze(-1) + lengths)

        def joint(block: Block) -> Tensor:
            s = block.sets
            y = block.x.unsqueeze(1) @ factors[s]  # (G, M, n, D)
            cross = whitened_means[s] @ y.mT  # (G, M, K, n)
            cross.sub_(squared_length(y).mul_(0.5).unsqueeze(-2))
            return cross.add_(constant[s].unsqueeze(-1)).movedim(-1, 1)

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
        second = moments[1] / total
        noise = NOISE * second.diagonal(dim1=-2, dim2=-1)
        return means, _without_noise(second - means.mT @ (shares * means), noise)

    def is_singular(self, covariances: Tensor, factors: Tensor, K: int) -> Tensor:
        broken = super().is_singular(covariances, factors, K)
        return broken.unsqueeze(-1).expand(*broken.shape, K)

    def from_variances(self, variances: Tensor) -> Tensor:
        return torch.diag_embed(variances.mean(-2))

    def scatter(
        self, counts: Tensor, covariances: Tensor, weights: Tensor, offsets: Tensor
    ) -> Tensor:
        n = counts.sum(-1)[..., None, None]
        return n * covariances + offsets.mT @ (weights.unsqueeze(-1) * offsets)

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        root: Tensor = torch.linalg.cholesky(covariances)
        return noise @ root.mT


def squared_length(y: Tensor) -> Tensor:
    """Return the squared lengths of vectors, (..., D), in one pass over them, (...)."""
    length: Tensor = torch.linalg.vector_norm(y, dim=-1)
    return length.square_()


@cache
def _pairs(D: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the rows and columns of the upper triangle of a D x D matrix."""
    i, j = torch.triu_indices(D, D, device=device)
    return i, j


@cache
def _places(D: int, device: torch.device) -> Tensor:
    """Return the place of each element of a symmetric matrix among those of its upper triangle."""
    position = torch.arange(D, device=device)
    i, j = position.unsqueeze(1), position
    row, column = torch.minimum(i, j), torch.maximum(i, j)
    return (row * D - row * (row + 1) // 2 + column).flatten()


def outer(v: Tensor) -> Tensor:
    """Return the outer product v v^T, (..., D, D)."""
    return v.unsqueeze(-1) * v.unsqueeze(-2)


def _without_noise(covariances: Tensor, noise: Tensor) -> Tensor:
    """Set rows and columns to 0, in place, whose variance is no more than noise, (..., D)."""
    is_noise = ~(covariances.diagonal(dim1=-2, dim2=-1) > noise)
    covariances.masked_fill_(is_noise.unsqueeze(-1), 0)
    return covariances.masked_fill_(is_noise.unsqueeze(-2), 0)
