"""What EM needs to know about a covariance structure.

Shapes: G data sets, M mixtures of each, K components; the means and covariances that come in are
relative to the centre of the points, in float64. A structure is stateless.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from gmm.kernels import n_statistics
from gmm.points import Block, Points
from gmm.structures.columns import Columns

LOG_2PI = math.log(2 * math.pi)
NOISE = 16 * torch.finfo(torch.float64).eps

Joint = Callable[[Block], Tensor]
Moments = tuple[Tensor, ...]


class Covariance(ABC):
    """The computations of EM that depend on the structure of the covariances."""

    name: str
    on_diagonal = True
    is_shared = False
    takes_precisions = True  # inverse covariances have the shape of covariances

    @abstractmethod
    def shape(self, K: int, D: int) -> tuple[int, ...]:
        """Return the shape of the covariances of one mixture."""

    @abstractmethod
    def n_parameters(self, K: int, D: int) -> int:
        """Return the number of free parameters in the covariances of one mixture."""

    @abstractmethod
    def row_numbers(self, M: int, K: int, D: int) -> int:
        """Return how many numbers EM on M mixtures keeps in memory per point."""

    def factor(self, covariances: Tensor) -> Tensor:
        """Return what densities are computed from; the variances themselves on a diagonal."""
        return covariances

    @abstractmethod
    def log_joint(
        self, log_weights: Tensor, means: Tensor, factors: Tensor, columns: Columns
    ) -> Joint:
        """Return a function from a block to log(pi_k N(x_n | mu_k, Sigma_k)), (G, n, M, K).

        The covariances are given by what `factor` returns.
        """

    @abstractmethod
    def moments(self, block: Block, resp: Tensor, means: Tensor, columns: Columns) -> Moments:
        """Return the weighted sums of points and of their squares that `update` needs."""

    def sums(
        self,
        block: Block,
        resp: Tensor,
        means: Tensor,
        columns: Columns,
        factors: Tensor | None = None,
    ) -> tuple[Tensor, Moments]:
        """Return the counts, (G, M, K), and the moments of a block.

        The means and factors are those that the responsibilities were computed with.
        """
        counts = resp.sum(1, dtype=torch.float64)
        return counts, self.moments(block, resp, means, columns)

    @abstractmethod
    def update(
        self, counts: Tensor, moments: Moments, means: Tensor, columns: Columns
    ) -> tuple[Tensor, Tensor]:
        """Return the new means and covariances from counts (G, M, K) and the summed moments."""

    @abstractmethod
    def floor(self, covariances: Tensor, reg_covar: float, min_variance: float) -> Tensor:
        """Add reg_covar, then raise every variance to min_variance."""

    @abstractmethod
    def is_singular(self, covariances: Tensor, factors: Tensor, K: int) -> Tensor:
        """Return True for components whose covariance is singular, (..., K)."""

    @abstractmethod
    def inverse(self, covariances: Tensor) -> Tensor:
        """Return precisions from covariances, or covariances from precisions."""

    @abstractmethod
    def from_variances(self, variances: Tensor) -> Tensor:
        """Return covariances with the variances (..., K, D) on their diagonals."""

    @abstractmethod
    def colour(self, noise: Tensor, covariances: Tensor, labels: Tensor) -> Tensor:
        """Transform white noise (n, D) to have the covariance of each label's component."""

    @abstractmethod
    def marginal(self, covariances: Tensor, dims: list[int]) -> Tensor:
        """Return the covariances of some features, in their order."""

    @abstractmethod
    def per_component(self, covariances: Tensor, D: int) -> Tensor:
        """Return variances (..., K, D) on a diagonal, else matrices (..., K or 1, D, D)."""


class Linear(Covariance):
    """A structure whose log-densities are linear in statistics of a point: an exponential family.

    The kernels of the CPU work with these: the features of a point, 1 and, as `products` says,
    products of the features. Such families have a conjugate prior, too.
    """

    products: int
    is_whole = True  # whether `natural` leaves nothing out of a log joint density

    def n_statistics(self, D: int) -> int:
        """Return the number of statistics of a point, F."""
        return n_statistics(self.products, D)

    @abstractmethod
    def natural(self, log_weights: Tensor, means: Tensor, factors: Tensor) -> Tensor:
        """Return the natural parameters, (G, M, K, F) or with a zero more.

        What all components of a mixture have in common may be left out; see `log_evidence_of_all`.
        """

    @abstractmethod
    def apart(self, sums: Tensor, means: Tensor, points: Points | None) -> tuple[Tensor, Moments]:
        """Return counts, (G, P), and moments from the sums of the statistics, (G, P, F).

        Args:
            sums: Over all points.
            means: Of the parameters that gave the responsibilities, (G, P, D).
            points: The data sets; `Tied` alone needs them.
        """

    def log_evidence_of_all(self, factors: Tensor, points: Points) -> Tensor | None:
        """Return what `natural` leaves out, summed over all points, (G, M), if it does."""
        return None

    @abstractmethod
    def log_det(self, factors: Tensor, D: int) -> Tensor:
        """Return log|Sigma|, (..., K), or (...) if it is shared, from what `factor` returns."""

    @abstractmethod
    def scatter(
        self, counts: Tensor, covariances: Tensor, weights: Tensor, offsets: Tensor
    ) -> Tensor:
        """Return n_k Sigma_k + w_k d_k d_k^T, projected on the structure.

        Of the products d_k d_k^T of offsets (..., K, D) only the diagonal is left where there is
        no place for more, and its mean where there is one variance for all features; components
        that share their covariance are summed.
        """

    def features_per_variance(self, D: int) -> int:
        """Return of how many features a variance of the structure is the mean."""
        return 1
