"""Covariances without correlations: a variance per feature, or one for all features."""

import torch
from torch import Tensor

from gmm.kernels import LENGTH, SQUARES
from gmm.points import Block, Points
from gmm.structures.columns import Columns
from gmm.structures.covariance import LOG_2PI, NOISE, Joint, Moments
from gmm.structures.products import quadratics, weighted_sums
from gmm.structures.statistics import ExponentialFamily, padded


class Diag(ExponentialFamily):
    """A variance per component and feature, (K, D)."""

    name = "diag"
    products = SQUARES

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K, D)

    def row_numbers(self, M: int, K: int, D: int) -> int:
        return 2 * D + 4 * M * K

    def n_parameters(self, K: int, D: int) -> int:
        return K * D

    def statistics(self, x: Tensor) -> Tensor:
        """Return x, 1 and x^2."""
        return padded(x, torch.ones_like(x[..., :1]), x.square())

    def natural(self, log_weights: Tensor, means: Tensor, factors: Tensor) -> Tensor:
        linear = means / factors
        constant = log_weights - 0.5 * (
            means.shape[-1] * LOG_2PI + torch.addcmul(factors.log(), means, linear).sum(-1)
        )
        return padded(linear, constant.unsqueeze(-1), -0.5 / factors)

    def apart(self, sums: Tensor, means: Tensor, points: Points | None) -> tuple[Tensor, Moments]:
        D = means.shape[-1]
        return sums[..., D], (sums[..., :D], sums[..., D + 1 : self.n_statistics(D)])

    def direct_log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        precisions = factors.reciprocal()
        linear = columns.pack(means * precisions, -2)
        quadratic = columns.pack(precisions, -2) * -0.5
        constant = log_weights - 0.5 * (
            means.shape[-1] * LOG_2PI + (factors.log() + means.square() * precisions).sum(-1)
        )

        def joint(block: Block) -> Tensor:
            a, b = linear[block.sets].to(block.x.dtype), quadratic[block.sets].to(block.x.dtype)
            packed = quadratics(block, a, b).double()
            return columns.unpack(packed).add_(constant[block.sets].unsqueeze(1))

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
        return first, variances.masked_fill(~(variances > NOISE * second), 0)

    def floor(self, covariances: Tensor, reg_covar: float, min_variance: float) -> Tensor:
        return (covariances + reg_covar).clamp_min(min_variance)

    def is_singular(self, covariances: Tensor, factors: Tensor, K: int) -> Tensor:
        return ~((covariances > 0) & covariances.isfinite()).all(-1)

    def inverse(self, covariances: Tensor) -> Tensor:
        return covariances.reciprocal()

    def from_variances(self, variances: Tensor) -> Tensor:
        return variances

    def log_det(self, factors: Tensor, D: int) -> Tensor:
        return factors.log().sum(-1)

    def scatter(
        self, counts: Tensor, covariances: Tensor, weights: Tensor, offsets: Tensor
    ) -> Tensor:
        return counts.unsqueeze(-1) * covariances + weights.unsqueeze(-1) * offsets.square()

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        return noise * covariances[labels].sqrt()

    def marginal(self, covariances: Tensor, dims: list[int]) -> Tensor:
        return covariances[..., dims]

    def per_component(self, covariances: Tensor, D: int) -> Tensor:
        return covariances


class Spherical(Diag):
    """One variance per component, (K,)."""

    name = "spherical"
    products = LENGTH

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K,)

    def n_parameters(self, K: int, D: int) -> int:
        return K

    def statistics(self, x: Tensor) -> Tensor:
        """Return x, 1 and |x|^2."""
        return padded(x, torch.ones_like(x[..., :1]), x.square().sum(-1, keepdim=True))

    def natural(self, log_weights: Tensor, means: Tensor, factors: Tensor) -> Tensor:
        D = means.shape[-1]
        linear = means / factors.unsqueeze(-1)
        constant = log_weights - 0.5 * (D * (LOG_2PI + factors.log()) + (means * linear).sum(-1))
        return padded(linear, constant.unsqueeze(-1), -0.5 / factors.unsqueeze(-1))

    def direct_log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        D = means.shape[-1]
        precisions = factors.reciprocal()
        linear = columns.pack(means * precisions.unsqueeze(-1), -2)
        constant = log_weights - 0.5 * (
            D * (LOG_2PI + factors.log()) + means.square().sum(-1) * precisions
        )

        def joint(block: Block) -> Tensor:
            cross = columns.unpack((block.x @ linear[block.sets].to(block.x.dtype).mT).double())
            half_precisions = 0.5 * precisions[block.sets].unsqueeze(1)
            cross.addcmul_(block.lengths[..., None, None], half_precisions, value=-1)
            return cross.add_(constant[block.sets].unsqueeze(1))

        return joint

    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        weights = columns.pack(resp)
        lengths = weighted_sums(weights.double(), block.lengths.unsqueeze(-1))
        return weighted_sums(weights, block.x), lengths

    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        first, second = (columns.unpack(m, dim=-2, fill=0) / counts.unsqueeze(-1) for m in moments)
        lengths = second.squeeze(-1)
        variances = (lengths - first.square().sum(-1)) / first.shape[-1]
        is_noise = ~(variances * first.shape[-1] > NOISE * lengths)
        return first, variances.masked_fill(is_noise, 0)

    def is_singular(self, covariances: Tensor, factors: Tensor, K: int) -> Tensor:
        return ~((covariances > 0) & covariances.isfinite())

    def from_variances(self, variances: Tensor) -> Tensor:
        return variances.mean(-1)

    def log_det(self, factors: Tensor, D: int) -> Tensor:
        return D * factors.log()

    def scatter(
        self, counts: Tensor, covariances: Tensor, weights: Tensor, offsets: Tensor
    ) -> Tensor:
        return counts * covariances + weights * offsets.square().mean(-1)

    def features_per_variance(self, D: int) -> int:
        return D

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        return noise * covariances[labels].sqrt().unsqueeze(-1)

    def marginal(self, covariances: Tensor, dims: list[int]) -> Tensor:
        return covariances

    def per_component(self, covariances: Tensor, D: int) -> Tensor:
        return covariances.unsqueeze(-1).expand(*covariances.shape, D)
