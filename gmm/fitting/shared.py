"""EM where the mixtures of all data sets share their covariance: discriminant analysis."""

from dataclasses import replace

from torch import Tensor

from gmm.expectation.e_step import expect
from gmm.fitting.em_state import EMState
from gmm.maximising.conjugate import beside
from gmm.maximising.m_step import m_step
from gmm.maximising.prior import NormalInverseWishart
from gmm.mixtures.mixture import Mixture
from gmm.points import Points
from gmm.structures import Covariance

SHAREABLE = ("diag", "spherical", "tied")


class SharedState(EMState):
    """The state of a fit in which mixture m of every data set has the same covariance.

    Hastie & Tibshirani (1996, "Discriminant analysis by Gaussian mixtures", section 2). The E-step
    stays within each data set; the M-step pools the covariances of all of them. Log-likelihoods
    are means over the points of all data sets, so that mixture m of every data set ends in the
    same step.
    """

    def _step(self) -> None:
        old = self.state.at(slice(None), self._mixtures)
        factors = self.factors[:, self._mixtures]
        found = expect(self.points, old, factors, self._columns, sets=self._sets)
        new, empty = m_step((found.counts, found.moments), old, self._columns, 0, 0)
        covariances = pooled(new.covariances, found.counts, self.structure)
        covariances = self.structure.floor(covariances, self.reg_covar, self.min_variance)
        mean = found.log_evidence.sum(0) / self.points.sizes.sum()  # (M,)
        self._keep(replace(new, covariances=covariances), empty, mean.expand(len(empty), -1))

    def _compiled_steps(self) -> None:
        """Return None: compiled steps know no other data set."""


def pooled(covariances: Tensor, counts: Tensor, kind: Covariance) -> Tensor:
    """Return the mean covariance of all data sets and components, in the place of each.

    Where (1/n_k) sum_n r_nk (x_n - mu_k)(x_n - mu_k)^T is the covariance of a component alone, its
    mean over components, weighted by n_k, has the highest likelihood among those that all share.

    Args:
        covariances: Of M mixtures for each of G data sets, (G, M, *shape).
        counts: Points of every component, (G, M, K).
        kind: Structure of the covariances.
    """
    weights = beside(counts.sum(-1) if kind.is_shared else counts, covariances)
    over = 0 if kind.is_shared else (0, 2)
    total = (weights * covariances).sum(over, keepdim=True)
    return (total / weights.sum(over, keepdim=True)).expand_as(covariances)


def shared_start(points: Points, start: Mixture) -> Mixture:
    """Return mixtures, batch shape (G, M), with the covariance that theirs have in the mean."""
    log_weights, means, covariances = start.tensors()
    counts = log_weights.exp() * points.sizes[:, None, None]
    shared = pooled(covariances, counts, start.structure).contiguous()
    return Mixture(log_weights, means, shared, start.covariance_type)


def check_shareable(covariance_type: str, prior: NormalInverseWishart | None) -> None:
    """Raise ValueError unless mixtures of the given structure can share their covariance."""
    if covariance_type not in SHAREABLE:
        raise ValueError(
            f"covariance_type must be one of {', '.join(SHAREABLE)} where a covariance is "
            f"shared, got {covariance_type!r}; tied is a full matrix for all"
        )
    if prior is not None:
        raise ValueError(
            f"prior must be None where a covariance is shared, got {type(prior).__name__}"
        )
