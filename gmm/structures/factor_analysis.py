"""Covariances of a few factors and noise: Sigma_k = Lambda_k Lambda_k^T + diag(psi_k).

The covariances of K components are one tensor, (K, D, q + 1): the loadings Lambda of q factors, and
the variances psi of the noise as the last column. Nothing of D x D is made: by Woodbury's identity

    Sigma^-1 = Psi^-1 - P^T P,  P = L^-1 Lambda^T Psi^-1,  L L^T = I + Lambda^T Psi^-1 Lambda,

so that a squared distance is that of the noise alone less |y|^2 with y = P (x - mu). These y are
also the posterior means of the factors, in coordinates where their posterior covariance is I.
The two nearly cancel where noise is small beside the factors, and points are therefore worked on
in float64.
"""

from numbers import Integral

import torch
from torch import Tensor

from gmm.points import Block
from gmm.structures.columns import Columns
from gmm.structures.covariance import NOISE, Covariance, Joint, Moments
from gmm.structures.diagonal import Diag
from gmm.structures.factor_scores import Scores, cholesky_with_identity, projection, root
from gmm.structures.products import weighted_sums

_NOISE_ALONE = Diag()


class FactorAnalysis(Covariance):
    """Loadings and a variance of noise per feature in every component (Ghahramani & Hinton 1996).

    Args:
        n_factors: q, where shapes are asked for; else the covariances show it.
    """

    name = "factor"
    on_diagonal = False
    takes_precisions = False

    def __init__(self, n_factors: int | None = None) -> None:
        self.n_factors = n_factors

    def factors_of(self, D: int) -> int:
        """Return q.

        Raises:
            ValueError: If it is not a number of factors for D features.
        """
        q = self.n_factors
        if not isinstance(q, Integral) or isinstance(q, bool) or not 0 <= q <= D:
            raise ValueError(
                f"n_factors must be a whole number from 0 to the number of features ({D}), got {q}"
            )
        return int(q)

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K, D, self.factors_of(D) + 1)

    def row_numbers(self, M: int, K: int, D: int) -> int:
        return 2 * D + M * K * (2 * self.factors_of(D) + 4)

    def n_parameters(self, K: int, D: int) -> int:
        """Return the number of free parameters; the factors may be rotated at will."""
        q = self.factors_of(D)
        return K * (D * q - q * (q - 1) // 2 + self.n_noise_variances(D))

    def n_noise_variances(self, D: int) -> int:
        """Return the number of free variances of the noise of one component."""
        return D

    def log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        half_log_det = root(factors).diagonal(dim1=-2, dim2=-1).log().sum(-1)
        noise = _NOISE_ALONE.log_joint(log_weights - half_log_det, means, factors[..., -1], columns)
        scores = Scores(means, factors, columns)

        def joint(block: Block) -> Tensor:
            explained = scores(block)[..., :-1].square().sum(-1).mul_(0.5)  # (G, n, P)
            return noise(block).add_(columns.unpack(explained, fill=0))

        return joint

    def sums(
        self,
        block: Block,
        resp: Tensor,
        means: Tensor,
        columns: Columns,
        factors: Tensor | None = None,
    ) -> tuple[Tensor, Moments]:
        counts = resp.sum(1, dtype=torch.float64)
        return counts, self.moments(block, resp, means, columns, factors)

    def moments(
        self,
        block: Block,
        resp: Tensor,
        means: Tensor,
        columns: Columns,
        factors: Tensor | None = None,
    ) -> Moments:
        """Return the sums of r x^2, r y x^T and r y y^T, where each y ends in a 1.

        The means and factors are those that the responsibilities r were computed with.
        """
        if factors is None:
            raise ValueError("factors must be given, as the moments are those of their scores too")
        weights, y = columns.pack(resp), Scores(means, factors, columns)(block)
        weighted = weights.unsqueeze(-1) * y
        with_x = weighted_sums(weighted.flatten(-2), block.x).unflatten(1, y.shape[2:])
        with_y = torch.einsum("gnpq,gnpr->gpqr", weighted, y)
        return weighted_sums(weights, block.squares), with_x, with_y

    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        """Return the maximum over means, loadings and noise of the expected log-likelihood.

        It is the M-step for all components (Bishop 2006, eqs. 12.69 and 12.70) of PX-EM (Liu, Rubin
        & Wu 1998): factors may be N(a, R) while the maximum is sought, and are made N(0, I) again.
        The likelihood still never falls, and far fewer steps are taken. With S the weighted
        covariance of the points, and P from before, Lambda = S P^T chol(I + P S P^T)^-T, and
        Lambda Lambda^T + Psi has the diagonal of S.
        """
        second, with_x, with_y = moments
        of_noise = (with_x[..., -1, :], second)
        new_means, variances = _NOISE_ALONE.update(counts, of_noise, means, columns)
        n = counts[..., None, None]
        x_y, y_y = (columns.unpack(m, dim=-3, fill=0) / n for m in (with_x, with_y))
        mean_y = y_y[..., :-1, -1:]
        x_y = x_y[..., :-1, :] - mean_y * new_means.unsqueeze(-2)  # (G, M, K, q, D)
        y_y = y_y[..., :-1, :-1] - mean_y * mean_y.mT
        loadings = torch.linalg.solve_triangular(cholesky_with_identity(y_y), x_y, upper=False).mT
        noise = self.noise(variances - loadings.square().sum(-1))
        return new_means, torch.cat([loadings, noise.unsqueeze(-1)], -1)

    def noise(self, variances: Tensor) -> Tensor:
        """Return the noise with the greatest likelihood when that of each feature is given."""
        return variances

    def floor(self, covariances: Tensor, reg_covar: float, min_variance: float) -> Tensor:
        """Add reg_covar to the noise, then raise it to min_variance."""
        noise = _NOISE_ALONE.floor(covariances[..., -1:], reg_covar, min_variance)
        return torch.cat([covariances[..., :-1], noise], -1)

    def is_singular(self, covariances: Tensor, factors: Tensor, K: int) -> Tensor:
        noise = covariances[..., -1]
        total = noise + covariances[..., :-1].square().sum(-1)
        broken: Tensor = ~(noise > NOISE * total).all(-1)
        return broken

    def inverse(self, covariances: Tensor) -> Tensor:
        """Return the precisions as matrices, (..., K, D, D), which few features alone allow."""
        P = projection(covariances)
        return torch.diag_embed(covariances[..., -1].reciprocal()) - P.mT @ P

    def marginal(self, covariances: Tensor, dims: list[int]) -> Tensor:
        return covariances[..., dims, :]

    def per_component(self, covariances: Tensor, D: int) -> Tensor:
        """Return the covariances as matrices, (..., K, D, D), which few features alone allow."""
        loadings = covariances[..., :-1]
        return torch.diag_embed(covariances[..., -1]) + loadings @ loadings.mT

    def from_variances(self, variances: Tensor) -> Tensor:
        """Return covariances without loadings, which EM leaves at zero."""
        q = self.factors_of(variances.shape[-1])
        return torch.nn.functional.pad(self.noise(variances).unsqueeze(-1), (q, 0))

    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        """Apply the root Psi^(1/2) (I + U U^T)^(1/2) of Sigma, where U = Psi^(-1/2) Lambda."""
        coloured = torch.empty_like(noise)
        for k, one in enumerate(covariances):
            deviations = one[:, -1:].sqrt()
            U = one[:, :-1] / deviations
            values, vectors = torch.linalg.eigh(U.mT @ U)
            # (sqrt(1 + s) - 1) / s without a difference
            stretch = vectors / (1 + (1 + values.clamp_min(0)).sqrt()) @ vectors.mT
            own = noise[labels == k]
            coloured[labels == k] = (own + own @ U @ stretch @ U.mT) * deviations.mT
        return coloured


class PPCA(FactorAnalysis):
    """Loadings and one variance of noise in every component (Tipping & Bishop 1999).

    The last column repeats that variance; its M-step is that of Bishop 2006, eqs. 12.56 and 12.57.
    """

    name = "ppca"

    def n_noise_variances(self, D: int) -> int:
        return 1

    def noise(self, variances: Tensor) -> Tensor:
        return variances.mean(-1, keepdim=True).expand_as(variances)
