"""The variational posterior of a mixture's parameters: its update, its expectations, its bound.

Everything here is batched over *B. The posterior of the weights is a Dirichlet distribution, or the
Beta distributions of a truncated Dirichlet process (Blei & Jordan 2006); that of a component's mean
and precision matrix is Gauss-Wishart (Bishop 2006, section 10.2). As in scikit-learn, covariances
are W^-1 / nu; components that share theirs share a Wishart distribution; and variances of diag
and spherical are taken for the diagonal of a Wishart-distributed matrix.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.structures import Linear, linear

PROCESS, DISTRIBUTION = "dirichlet_process", "dirichlet_distribution"


@dataclass(frozen=True, eq=False)
class Hyperparameters:
    """The prior of a batch of mixtures, in float64.

    Attributes:
        covariance_type: Structure of the covariances.
        is_process: Whether the weights have a Dirichlet process, or else a Dirichlet distribution.
        weight_concentration: alpha_0, or gamma of the process.
        mean_precision: beta_0.
        mean: m_0, (*B, D).
        degrees_of_freedom: nu_0.
        covariance: W_0^-1, (*B, *shape) with K = 1, see `Linear.shape`.
    """

    covariance_type: str
    is_process: bool
    weight_concentration: float
    mean_precision: float
    mean: Tensor
    degrees_of_freedom: float
    covariance: Tensor

    @property
    def kind(self) -> Linear:
        return linear(self.covariance_type)

    def posterior(self, counts: Tensor, means: Tensor, covariances: Tensor) -> "Posterior":
        """Return the posterior given what the responsibilities add up to (eqs. 10.58-10.63).

        Args:
            counts: N_k, (*B, K).
            means: Of the points of every component, (*B, K, D).
            covariances: Of the points of every component, (*B, *shape).
        """
        beta = self.mean_precision + counts
        m = self.mean.unsqueeze(-2)
        shrunk = self.mean_precision * counts / beta
        scatter = self.kind.scatter(counts, covariances, shrunk, means - m)
        if self.kind.is_shared:  # every component has its share of all points
            K = counts.shape[-1]
            counts_of_matrix, scatter = counts.sum(-1, keepdim=True) / K, scatter / K
        else:
            counts_of_matrix = counts
        nu = self.degrees_of_freedom + counts_of_matrix
        inverse = self.covariance + scatter
        return Posterior(
            concentration=self._concentration(counts),
            mean_precision=beta,
            means=(self.mean_precision * m + counts.unsqueeze(-1) * means) / beta.unsqueeze(-1),
            degrees_of_freedom=nu,
            covariances=inverse / _over_matrices(nu, inverse, self.kind.is_shared),
            covariance_type=self.covariance_type,
            is_process=self.is_process,
        )

    def _concentration(self, counts: Tensor) -> Tensor:
        if not self.is_process:
            return self.weight_concentration + counts
        after = counts.flip(-1).cumsum(-1).flip(-1).roll(-1, -1)  # N_{k+1} + ... + N_K
        after = torch.cat([after[..., :-1], torch.zeros_like(after[..., -1:])], -1)
        return torch.stack([1 + counts, self.weight_concentration + after], -2)


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of a batch of mixtures, in float64.

    Attributes:
        concentration: alpha, (*B, K); of a process both parameters of the Beta distributions of
            the shares that components take of what others have left, (*B, 2, K).
        mean_precision: beta, (*B, K).
        means: m, (*B, K, D).
        degrees_of_freedom: nu, (*B, K), or (*B, 1) if tied.
        covariances: W^-1 / nu, (*B, *shape).
        covariance_type: Structure of the covariances.
        is_process: See `Hyperparameters`.
    """

    concentration: Tensor
    mean_precision: Tensor
    means: Tensor
    degrees_of_freedom: Tensor
    covariances: Tensor
    covariance_type: str
    is_process: bool

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        own = (self.concentration, self.mean_precision, self.means)
        return *own, self.degrees_of_freedom, self.covariances

    def of(self, tensors: list[Tensor]) -> Self:
        """Return a posterior with other tensors, in the order of `tensors`."""
        concentration, mean_precision, means, degrees_of_freedom, covariances = tensors
        return replace(
            self,
            concentration=concentration,
            mean_precision=mean_precision,
            means=means,
            degrees_of_freedom=degrees_of_freedom,
            covariances=covariances,
        )

    def weights(self) -> Tensor:
        """Return the expected weights, (*B, K), rescaled to add up to one."""
        if not self.is_process:
            return self.concentration / self.concentration.sum(-1, keepdim=True)
        a, b = self.concentration.unbind(-2)
        left = (b / (a + b)).cumprod(-1)
        weights = a / (a + b) * torch.cat([torch.ones_like(left[..., :1]), left[..., :-1]], -1)
        return weights / weights.sum(-1, keepdim=True)

    def parameters(self) -> Parameters:
        """Return the mixtures whose densities are exp E[log pi_k N(x | mu_k, Lambda_k)].

        Their weights do not add up to one: they hold what the expectation of a log-density is
        short of the log-density at the means and covariances (Bishop 2006, eqs. 10.46, 10.64-66).
        """
        nu, D = self.degrees_of_freedom, self.means.shape[-1]
        log_lambda = torch.digamma(_halves(nu, D)).sum(-1) + D * (math.log(2) - nu.log())
        log_weights = self.expected_log_weights() + 0.5 * (log_lambda - D / self.mean_precision)
        return Parameters(log_weights, self.means, self.covariances, self.covariance_type)

    def expected_log_weights(self) -> Tensor:
        """Return E[log pi], (*B, K) (Bishop 2006, eq. 10.66; Blei & Jordan 2006, section 3)."""
        if not self.is_process:
            total = self.concentration.sum(-1, keepdim=True)
            return torch.digamma(self.concentration) - torch.digamma(total)
        of_both = torch.digamma(self.concentration.sum(-2))
        taken, left = (torch.digamma(c) - of_both for c in self.concentration.unbind(-2))
        before = torch.cat([torch.zeros_like(left[..., :1]), left[..., :-1].cumsum(-1)], -1)
        return taken + before

    def lower_bound(self, factors: Tensor, r_log_r: Tensor) -> Tensor:
        """Return the lower bound of the evidence, without what the data and prior keep constant.

        It is that of this posterior, if it was just updated, and of the responsibilities that it
        was made of (Bishop 2006, eq. 10.70), as scikit-learn counts it, (*B).

        Args:
            factors: Those of the covariances, see `Linear.factor`.
            r_log_r: Sum of r log r over all responsibilities r, (*B).
        """
        nu, D = self.degrees_of_freedom, self.means.shape[-1]
        log_det = linear(self.covariance_type).log_det(factors, D).reshape(nu.shape)
        of_wishart = 0.5 * nu * (log_det + D * (nu.log() - math.log(2)))
        of_wishart = of_wishart - _halves(nu, D).lgamma().sum(-1)
        of_wishart = of_wishart.expand_as(self.mean_precision).sum(-1)
        of_means = 0.5 * D * self.mean_precision.log().sum(-1)
        return -r_log_r - of_wishart - self._log_norm_of_weights() - of_means

    def _log_norm_of_weights(self) -> Tensor:
        """Return the logarithm of the normaliser of the weights' density, (*B)."""
        axis = -2 if self.is_process else -1
        log_norm = self.concentration.sum(axis).lgamma() - self.concentration.lgamma().sum(axis)
        return log_norm.sum(-1) if self.is_process else log_norm


def _halves(nu: Tensor, D: int) -> Tensor:
    """Return (nu + 1 - i) / 2 for i = 1 ... D, (..., D), the arguments of eqs. 10.65 and B.79."""
    return 0.5 * (nu.unsqueeze(-1) - torch.arange(D, device=nu.device, dtype=nu.dtype))


def _over_matrices(nu: Tensor, covariances: Tensor, is_shared: bool) -> Tensor:
    """Return nu with as many dimensions as the covariances have."""
    nu = nu.squeeze(-1) if is_shared else nu
    return nu.view(*nu.shape, *[1] * (covariances.ndim - nu.ndim))
