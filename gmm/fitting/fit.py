"""Many fits in one call: data sets of different sizes, several K, and restarts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.expectation.observed import check_missing
from gmm.fitting.em import Callback, Memory, fit_points
from gmm.fitting.em_state import Fit
from gmm.fitting.rounding import check_range
from gmm.fitting.shared import check_shareable, shared_start
from gmm.maximising.prior import NormalInverseWishart
from gmm.mixtures.mixture import Mixture
from gmm.points import Batches, Distributed, open_points
from gmm.starting.starts import Start, start_points
from gmm.structures import N_FACTORS, structure


@dataclass(frozen=True, eq=False)
class ManyFits:
    """The outcome of fits of batch shape *B, each the best of its restarts.

    *B is that of the data, followed by the number of K where n_components was a list.

    Attributes:
        mixture: The best restart's mixture, *B; `mixture[i]` has no empty slots.
        best: Index of the best restart, (*B).
        starts: Where every restart began, (*B, n_init).
        restarts: The outcome of every restart, (*B, n_init).
    """

    mixture: Mixture
    best: Tensor
    starts: Mixture
    restarts: Fit

    @property
    def log_likelihood(self) -> Tensor:
        """Return a point's mean log-likelihood before every M-step of the best restart, (*B, T)."""
        return self._of_best(self.restarts.log_likelihood)

    @property
    def converged(self) -> Tensor:
        return self._of_best(self.restarts.converged)

    @property
    def n_iter(self) -> Tensor:
        return self._of_best(self.restarts.n_iter)

    @property
    def singular(self) -> Tensor:
        """Return the components on which the best restart broke down, (*B, K).

        It has any only where all other restarts broke down, too.
        """
        return self._of_best(self.restarts.singular)

    @property
    def best_fit(self) -> Fit:
        """Return the outcome of the best restarts alone, *B."""
        best = (self.log_likelihood, self.converged, self.n_iter, self.singular, self.empty)
        return Fit(self.mixture, *best)

    @property
    def empty(self) -> Tensor:
        """Return the components of the best restart that no point belongs to, (*B, K)."""
        return self._of_best(self.restarts.empty)

    def _of_best(self, per_restart: Tensor) -> Tensor:
        return pick(per_restart, self.best)


def fit_many(
    data: Tensor | Sequence[Tensor] | Batches | Distributed,
    n_components: int | Sequence[int],
    *,
    n_init: int = 1,
    start: Start | None = None,
    covariance_type: str = "diag",
    n_factors: int = N_FACTORS,
    max_iter: int = 100,
    tol: float = 1e-3,
    reg_covar: float = 0.0,
    min_variance: float = 0.0,
    chunk_size: int | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    callback: Callback | None = None,
    memory: Memory | None = None,
    prior: NormalInverseWishart | None = None,
    share_covariance: bool = False,
    missing: bool = False,
    sample_weight: Tensor | Sequence[Tensor] | None = None,
) -> ManyFits:
    """Fit mixtures of every K to every data set, n_init times each, as one batch.

    Args:
        data: Points (*C, N, D), a list of G data sets (N_g, D) of any sizes, or an iterable of
            batches (n, D) that can be read again and again.
        n_components: K, or a list of K.
        n_init: Restarts, of which the best is kept.
        start: How they begin.
        covariance_type: diag, spherical, tied, full, factor or ppca.
        n_factors: Factors of every component if factor or ppca, at most D.
        max_iter: See `fit_em`, as for tol, reg_covar, min_variance, chunk_size, callback, memory,
            prior, missing and sample_weight.
        generator: Source of randomness, on the CPU.
        device: Where to work; where the data are by default.
        dtype: Of the results; that of the data by default.
        share_covariance: Whether the components of all data sets have one covariance together, of
            diag, spherical or tied (Hastie & Tibshirani 1996). Restarts are then of all data sets
            together, and log-likelihoods means over the points of all.

    Raises:
        ValueError: If a value is not finite (but see missing), an argument breaks its rule, or the
            dtype cannot hold the squares of the data.

    Examples:
        Which of one, two or three components suits two clouds of points best?

        >>> import gmm, torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> middles = torch.tensor([-5.0, 5.0]).view(2, 1, 1)
        >>> x = (torch.randn(2, 200, 2, generator=generator) + middles).flatten(0, 1)
        >>> fits = gmm.fit_many(x, [1, 2, 3], n_init=5, generator=generator)
        >>> fits.mixture.means.shape  # of all three, with unused places
        torch.Size([3, 3, 2])
        >>> [1, 2, 3][fits.mixture.bic(x).argmin()]
        2
    """
    kind, K = structure(covariance_type, n_factors), n_components
    if share_covariance:
        check_shareable(covariance_type, prior)
    if missing:
        check_missing(covariance_type)
    largest, n_mixtures = (K, n_init) if isinstance(K, int) else (max(K), len(K) * n_init)
    points, shape = open_points(
        data,
        sample_weight=sample_weight,
        device=device,
        dtype=dtype,
        chunk_size=chunk_size,
        row_numbers=lambda D: kind.row_numbers(n_mixtures, largest, D),
        wide=kind.on_diagonal,
        missing=missing,
    )
    starts = start_points(
        points,
        n_components,
        start or Start(),
        covariance_type=covariance_type,
        n_factors=n_factors,
        n_init=n_init,
        reg_covar=reg_covar,
        min_variance=min_variance,
        generator=generator,
        prior=prior,
    )
    if share_covariance:
        starts = shared_start(points, starts)
    many = () if isinstance(n_components, int) else (len(n_components),)
    starts = starts.reshape((*shape, *many, n_init))
    fit = fit_points(
        points,
        shape,
        starts,
        max_iter=max_iter,
        tol=tol,
        reg_covar=reg_covar,
        min_variance=min_variance,
        callback=callback,
        memory=memory,
        prior=prior,
        share_covariance=share_covariance,
    )
    best = fit.final_log_likelihood.argmax(-1)
    log_weights, means, covariances = (pick(t, best) for t in fit.mixture.tensors())
    mixture = Mixture(log_weights, means, covariances, covariance_type)
    check_range(mixture, pick(fit.singular, best), lambda: points)
    return ManyFits(mixture, best, starts, fit)


def pick(per_restart: Tensor, best: Tensor) -> Tensor:
    """Select from per_restart (*B, n_init, ...) the restarts with the indices best (*B)."""
    n = best.ndim
    index = best.reshape(*best.shape, 1, *[1] * (per_restart.ndim - n - 1))
    return per_restart.gather(n, index.expand(*best.shape, 1, *per_restart.shape[n + 1 :])).squeeze(
        n
    )
