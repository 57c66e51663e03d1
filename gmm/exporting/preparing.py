"""The numbers of a mixture made ready for a graph: centred, whitened, and by the surer formula."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.exporting.densities import (
    Density,
    Diagonal,
    DiagonalProducts,
    Full,
    Tied,
    TiedProducts,
)
from gmm.mixtures.mixture import Mixture
from gmm.structures import whitening

# Numbers per point up to which differences from all means cost next to nothing.
FEW = 4096
# |x|^2 - 2xm + |m|^2 loses digits where means are far from the centre in units of their standard
# deviation: squares beyond this would leave more than 0.02 in a log density of float32. Where they
# do not, products are many times as fast.
FAR = 2.0**17
LARGEST = 1e36  # that a square may be, with room below the end of float32


class ExportError(ValueError):
    """A mixture that cannot be exported as asked; the message is one readable line."""


@dataclass(frozen=True, eq=False)
class _Prepared:
    """The parameters of C mixtures relative to a centre, in float64.

    Attributes:
        center: (D,), numbers that float32 has.
        means: (C, K, D).
        covariances: (C, *shape), see `Covariance.shape`; of unit variance in unused slots.
        constant: log pi_k - D/2 log(2 pi), (C, K).
    """

    center: Tensor
    means: Tensor
    covariances: Tensor
    constant: Tensor

    @classmethod
    def of(cls, mixture: Mixture) -> "_Prepared":
        flat = mixture.to("cpu").to(torch.float64).flatten(0)
        center = (flat.weights.unsqueeze(-1) * flat.means).sum(-2).mean(1)
        # The centre that the graph subtracts must be the one that the means are relative to.
        center = center.float().double()
        parameters = flat.relative_to(center)
        log_weights, means, covariances = (t[0] for t in parameters.tensors())
        kind, D = mixture.structure, mixture.n_features
        if not kind.is_shared:
            unused = (log_weights == -torch.inf).reshape(
                *log_weights.shape, *[1] * (covariances.ndim - 2)
            )
            covariances = torch.where(
                unused, kind.from_variances(torch.ones_like(means)), covariances
            )
        return cls(center[0], means, covariances, log_weights - 0.5 * D * math.log(2 * math.pi))


def density_of(mixture: Mixture) -> Density:
    """Return the densities of mixtures of batch shape () or (C,) as a module.

    Raises:
        ExportError: The structure has no graph, a number is not finite, or a covariance not
            positive definite.
    """
    if not mixture.structure.takes_precisions:
        rule = "covariance_type must be diag, spherical, tied or full to be exported"
        raise ExportError(f"{rule}, got {mixture.covariance_type}")
    ready = _Prepared.of(mixture)
    kind = mixture.structure
    K = ready.means.shape[1]
    singular = kind.is_singular(ready.covariances, kind.factor(ready.covariances), K)
    if bool(singular.any()):
        where = singular.nonzero()[0].tolist()
        raise ExportError(f"covariances must be positive definite, got one that is not at {where}")
    if not bool(ready.means.isfinite().all()) or bool(ready.constant.isnan().any()):
        raise ExportError("means and log_weights must be numbers, got some that are not")
    if kind.on_diagonal:
        return _diagonal(ready)
    return _tied(ready) if kind.is_shared else _full(ready)


def _diagonal(ready: _Prepared) -> Density:
    variances = ready.covariances
    if variances.ndim == 2:  # one for all features
        variances = variances.unsqueeze(-1).expand_as(ready.means)
    constant = ready.constant - 0.5 * variances.log().sum(-1)
    where = (ready.center, _limit(variances.reciprocal().amax(), len(ready.center)))
    scaled = ready.means / variances
    lengths = (ready.means * scaled).sum(-1)
    if _by_differences(lengths, ready.means):
        return Diagonal(*where, means=ready.means, roots=variances.rsqrt(), constant=constant)
    return DiagonalProducts(
        *where,
        linear=scaled.flatten(0, 1).mT,
        quadratic=0.5 * variances.reciprocal().flatten(0, 1).mT,
        constant=constant - 0.5 * lengths,
    )


def _tied(ready: _Prepared) -> Density:
    factors, log_det = whitening(ready.covariances)
    constant = ready.constant - 0.5 * log_det.unsqueeze(-1)
    where = (ready.center, _limit(factors.square().sum((-2, -1)).amax(), len(ready.center)))
    means = ready.means @ factors
    lengths = means.square().sum(-1)
    if _by_differences(lengths, means):
        return Tied(*where, factors=factors, means=means, constant=constant)
    constant = constant - 0.5 * lengths
    return TiedProducts(*where, factors=factors, means=means, constant=constant)


def _full(ready: _Prepared) -> Density:
    factors, log_det = whitening(ready.covariances)
    constant = ready.constant - 0.5 * log_det
    limit = _limit(factors.square().sum((-2, -1)).amax(), len(ready.center))
    means, factors = ready.means.flatten(0, 1), factors.flatten(0, 1)
    return Full(ready.center, limit, means=means, factors=factors, constant=constant)


def _by_differences(lengths: Tensor, means: Tensor) -> bool:
    """Return whether to subtract each mean from each point, which is surer than products.

    Args:
        lengths: Squared distance of every mean from the centre in its own standard deviations.
        means: (C, K, D).
    """
    return means.numel() <= FEW or float(lengths.max()) > FAR


def _limit(precision: Tensor, D: int) -> float:
    """Return how far a coordinate may be so that a squared distance of D of them is a float32."""
    return min(math.sqrt(LARGEST / (D * float(precision))), math.sqrt(LARGEST))
