"""The conjugate prior of mixtures: the posterior's mode for the M-step, and the log-density."""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from gmm.structures import Linear


@dataclass(frozen=True, eq=False)
class ConjugatePrior:
    """A `NormalInverseWishart` of M mixtures for each of G data sets, in float64.

    Attributes:
        kind: Structure of the mixtures' covariances.
        mean: Relative to the centres of the points, (G, 1, 1, D).
        mean_precision: kappa.
        degrees_of_freedom: nu.
        covariance: S, (G, M, *shape) with K = 1, see `Linear.shape`.
        weight_concentration: alpha.
        log_norm: Logarithm of the density's normaliser, (G, M).
    """

    kind: Linear
    mean: Tensor
    mean_precision: float
    degrees_of_freedom: float
    covariance: Tensor
    weight_concentration: float
    log_norm: Tensor

    def at(self, mixtures: slice | Tensor) -> Self:
        """Return the prior of some of the mixtures."""
        covariance, log_norm = self.covariance[:, mixtures], self.log_norm[:, mixtures]
        return replace(self, covariance=covariance, log_norm=log_norm)

    def mode(
        self, counts: Tensor, means: Tensor, covariances: Tensor, used: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the posterior's mode from the maximum of the likelihood.

        Fraley & Raftery (2007, section 3) have its formulae for every structure.

        Args:
            counts: Points of every component, (G, M, K), 0 in unused slots.
            means: Their means, (G, M, K, D).
            covariances: Their covariances, (G, M, *shape).
            used: False in unused slots, (G, M, K).

        Returns:
            What the weights are in proportion to, the means and the covariances.
        """
        kappa = self.mean_precision
        shrunk = kappa * counts / (kappa + counts)
        squares = self._squares(counts, covariances, shrunk, means - self.mean)
        n, kappa_mean = counts.unsqueeze(-1), kappa * self.mean
        shares = (counts + (self.weight_concentration - 1)).masked_fill(~used, 0)
        modes = squares / beside(self._power(counts, used), squares)
        return shares, (n * means + kappa_mean) / (n + kappa), modes

    def log_density(
        self, log_weights: Tensor, means: Tensor, covariances: Tensor, factors: Tensor
    ) -> Tensor:
        """Return the log-density of the parameters of all components together, (G, M).

        The factors are those that `Linear.factor` returns for the covariances.
        """
        used, D = log_weights > -torch.inf, means.shape[-1]
        none = torch.zeros_like(log_weights)
        squares = self._squares(none, covariances, self.mean_precision * used, means - self.mean)
        precisions = factors.reciprocal() if self.kind.on_diagonal else factors @ factors.mT
        log_det = self.kind.log_det(factors, D) / self.kind.features_per_variance(D)
        traces = (precisions * squares).reshape(*log_det.shape, -1).sum(-1)
        exponents = self._power(none, used) * log_det + traces
        if not self.kind.is_shared:
            exponents = exponents.masked_fill(~used, 0).sum(-1)
        log_density = self.log_norm - 0.5 * exponents
        if self.weight_concentration == 1:
            return log_density
        of_weights = log_weights.masked_fill(~used, 0).sum(-1)
        return log_density + (self.weight_concentration - 1) * of_weights

    def log_normaliser(self, n_components: Tensor) -> Tensor:
        """Return the logarithm of the density's normaliser for mixtures of K components, (G, M)."""
        D, nu, alpha = self.mean.shape[-1], self.degrees_of_freedom, self.weight_concentration
        K = n_components.double()
        rows = self._rows
        log_det = self.kind.log_det(self.kind.factor(self.covariance), D)
        log_det = log_det / self.kind.features_per_variance(D)
        n_blocks = D // (rows * self.kind.features_per_variance(D))
        half = torch.tensor(nu / 2, dtype=torch.float64)
        gamma = n_blocks * float(torch.special.multigammaln(half, rows) + half * rows * math.log(2))
        of_matrix = nu / 2 * log_det.reshape(K.shape) - gamma
        of_mean = 0.5 * D * math.log(self.mean_precision / (2 * math.pi))
        of_weights = (K * alpha).lgamma() - K * math.lgamma(alpha)
        return (1 if self.kind.is_shared else K) * of_matrix + K * of_mean + of_weights

    @property
    def _rows(self) -> int:
        """Return the rows of the matrices whose density is inverse Wishart."""
        return 1 if self.kind.on_diagonal else self.mean.shape[-1]

    def _squares(
        self, counts: Tensor, covariances: Tensor, weights: Tensor, offsets: Tensor
    ) -> Tensor:
        """Return S plus the sums of squares about the means, and w d d^T of their offsets d."""
        summed = self.kind.scatter(counts, covariances, weights, offsets)
        return self.covariance + self.kind.features_per_variance(offsets.shape[-1]) * summed

    def _power(self, counts: Tensor, used: Tensor) -> Tensor:
        """Return the power of |Sigma|^(-1/2) in the posterior, (G, M, K), or (G, M) if shared.

        A point and the mean of its component each count once for every feature of a variance.
        """
        power = (counts + 1).masked_fill(~used, 0)
        power = power.sum(-1) if self.kind.is_shared else power
        power = power * self.kind.features_per_variance(self.mean.shape[-1])
        return power + (self.degrees_of_freedom + self._rows + 1)


def beside(per_component: Tensor, covariances: Tensor) -> Tensor:
    """Return a number per component with as many dimensions as the covariances have."""
    missing = covariances.ndim - per_component.ndim
    return per_component.view(*per_component.shape, *[1] * missing)
