"""The prior that a user gives EM, and what of it the points decide."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gmm.maximising.conjugate import ConjugatePrior, beside
from gmm.maximising.given import given_covariance, given_mean
from gmm.points import Points
from gmm.structures import Linear, linear


@dataclass(frozen=True, eq=False)
class NormalInverseWishart:
    """The conjugate prior of a mixture's components, and of its weights.

    Given its covariance, a mean is N(mu | mean, Sigma / mean_precision). A covariance matrix is
    inverse Wishart, with density in proportion to |Sigma|^-((nu + D + 1) / 2) exp(-tr(S Sigma^-1)
    / 2), where S is `covariance`, and nu is `degrees_of_freedom`; the variances of diag and
    spherical are each the same with D = 1, an inverse gamma density. The weights are Dirichlet.
    What is None is taken from the points, as Fraley & Raftery (2007, "Bayesian regularization for
    normal mixture estimation and model-based clustering", section 3) suggest; but with diag
    every feature has its own variance in S, where they give all the same, so that the units of
    the features do not matter.

    Attributes:
        mean: Where means are expected, (D,); the mean of the points.
        mean_precision: How many points that expectation is worth, above 0.
        degrees_of_freedom: nu, above D - 1 if tied or full, else above 0; D + 2.
        covariance: S, in squared units: (D,) if diag, a number if spherical, (D, D) if tied or
            full; the covariance of the points over K^(2 / D) (the mean of their variances if
            spherical).
        weight_concentration: Parameter of the Dirichlet density, at least 1; with 1 all weights
            are as likely as others.

    Raises:
        ValueError: If mean_precision is not above 0 or weight_concentration is below 1.

    Examples:
        Three points on a line keep a variance off the line.

        >>> import gmm, torch
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
        >>> prior = gmm.NormalInverseWishart(covariance=[1.0, 1.0])
        >>> gmm.fit_many(x, 1, prior=prior).mixture.covariances[0, 1]  # 1 / (nu + 3 + 3)
        tensor(0.1000)
    """

    mean: Any = None
    mean_precision: float = 0.01
    degrees_of_freedom: float | None = None
    covariance: Any = None
    weight_concentration: float = 1.0

    def __post_init__(self) -> None:
        if not self.mean_precision > 0:
            raise ValueError(f"mean_precision must be above 0, got {self.mean_precision}")
        if not self.weight_concentration >= 1:
            got = self.weight_concentration
            raise ValueError(f"weight_concentration must be at least 1, got {got}")

    def of(self, points: Points, n_components: Tensor, covariance_type: str) -> ConjugatePrior:
        """Return the prior with what it takes from the points, relative to their centres.

        Args:
            points: G data sets.
            n_components: K of their mixtures, (G, M).
            covariance_type: Structure of the mixtures.

        Raises:
            ValueError: If an attribute does not suit the points, or their own covariance has no
                density.
        """
        kind, D = linear(covariance_type), points.n_features
        nu = D + 2 if self.degrees_of_freedom is None else self.degrees_of_freedom
        least = 0 if kind.on_diagonal else D - 1
        if not nu > least:
            raise ValueError(f"degrees_of_freedom must be above {least}, got {nu}")
        prior = ConjugatePrior(
            kind=kind,
            mean=mean_of(points, "mean", self.mean)[:, None, None],
            mean_precision=self.mean_precision,
            degrees_of_freedom=nu,
            covariance=self._scale(points, n_components, kind),
            weight_concentration=self.weight_concentration,
            log_norm=torch.zeros_like(n_components, dtype=torch.float64),
        )
        return replace(prior, log_norm=prior.log_normaliser(n_components))

    def _scale(self, points: Points, n_components: Tensor, kind: Linear) -> Tensor:
        """Return S for G x M mixtures, with K = 1 where the structure has a K."""
        scale = covariance_of(points, "covariance", self.covariance, kind)
        scale = scale.unsqueeze(1).expand(*n_components.shape, *scale.shape[1:])
        scale = scale if kind.is_shared else scale.unsqueeze(2)
        if self.covariance is None:
            share = n_components.double() ** (-2 / points.n_features)
            scale = scale * beside(share, scale)
        if kind.is_singular(scale, kind.factor(scale), 1).any():
            raise ValueError(
                "covariance of the prior must be positive definite, got that of the points, "
                "which is not; give another"
            )
        return scale


def mean_of(points: Points, name: str, mean: Any) -> Tensor:
    """Return a given mean, (D,), or by default that of the points, relative to centres, (G, D)."""
    if mean is None:
        return points.moments[0]
    given = given_mean(name, mean, points.n_features).to(points.device)
    return given - points.center.double()


def covariance_of(points: Points, name: str, covariance: Any, kind: Linear) -> Tensor:
    """Return a given covariance, or by default that of the points, for every data set.

    Its shape is (G, D) if diag, (G,) if spherical, (G, D, D) if tied or full; divided by N - 1.
    """
    if covariance is not None:
        given = given_covariance(name, covariance, kind, points.n_features).to(points.device)
        return given.expand(len(points), *given.shape)
    fewer = (points.sizes - 1).clamp_min(1)
    if not kind.on_diagonal:
        return points.scatter_about_mean / fewer[:, None, None]
    variances = points.moments[1] * (points.sizes / fewer).unsqueeze(-1)
    return kind.from_variances(variances)
