"""Variational inference for many mixtures on many data sets at once: one pass, update, bound."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.expectation.e_step import expect
from gmm.fitting.em import check_limits
from gmm.kernels import ready_for_passes
from gmm.points import Points
from gmm.starting.starts import Start, start_means, sums_of_nearest
from gmm.structures import Columns, Moments, linear
from gmm.variational.posteriors import Hyperparameters, Posterior

# scikit-learn's
_COUNT_OFFSET = 10 * torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Inference:
    """The outcome of variational inference, batch shape (G, M).

    Attributes:
        posterior: Relative to the centres of the points.
        lower_bound: After every iteration, (G, M, iterations); NaN after the end.
        converged: Whether it changed by less than tol.
        n_iter: Number of iterations.
        singular: Components whose covariance lost its density, (G, M, K); a mixture stops there,
            and keeps its last sound posterior.
    """

    posterior: Posterior
    lower_bound: Tensor
    converged: Tensor
    n_iter: Tensor
    singular: Tensor

    def final_lower_bound(self) -> Tensor:
        """Return the last lower bound of every mixture, (G, M); -inf where it broke down."""
        before = self.lower_bound.new_full((*self.n_iter.shape, 1), -torch.inf)
        known = torch.cat([before, self.lower_bound], -1)
        last = known.gather(-1, self.n_iter.unsqueeze(-1)).squeeze(-1)
        return last.masked_fill(self.singular.any(-1) | last.isnan(), -torch.inf)


def begin(
    points: Points,
    prior: Hyperparameters,
    n_components: int,
    start: Start,
    *,
    n_init: int,
    reg_covar: float,
    generator: torch.Generator | None,
) -> Posterior:
    """Return the posteriors given the points nearest to the means of starts, (G, n_init)."""
    means, used = start_means(points, n_components, start, n_init, generator)
    sums = sums_of_nearest(points, means, used, prior.covariance_type)
    return _posterior(prior, sums, means, reg_covar)


def infer(
    points: Points,
    prior: Hyperparameters,
    start: Posterior,
    *,
    max_iter: int,
    tol: float,
    reg_covar: float,
    previous: Tensor | None = None,
    callback: Callable[[int, Tensor], None] | None = None,
) -> Inference:
    """Iterate every mixture's posterior until its lower bound changes by less than tol.

    Args:
        points: G data sets.
        prior: Batch shape (G, 1).
        start: Where to begin, batch shape (G, M), relative to the centres of the points.
        max_iter: The largest number of iterations.
        tol: See above; with 0 all mixtures take max_iter iterations.
        reg_covar: Added to the variances of the points before every update, in squared units.
        previous: Lower bound that the first one is compared with.
        callback: Called with the iteration (from 1) and its lower bounds (G, M).

    Raises:
        ValueError: If an argument is below 0.
    """
    check_limits(max_iter=max_iter, tol=tol, reg_covar=reg_covar)
    run = _Run(points, prior, start, tol, reg_covar)
    if previous is not None:
        run.previous = previous.expand_as(run.previous).to(run.previous)
    with ready_for_passes(points.device):
        while len(run.history) < max_iter and bool(run.active.any()):
            bound = run.step()
            if callback is not None:
                callback(len(run.history), bound)
    shape = (*run.active.shape, len(run.history))
    bounds = torch.stack(run.history, -1) if run.history else run.previous.new_zeros(shape)
    return Inference(run.posterior, bounds, run.converged, run.n_iter, run.singular)


def _posterior(
    prior: Hyperparameters, sums: tuple[Tensor, Moments], means: Tensor, reg_covar: float
) -> Posterior:
    """Return the posterior given sums over the points; means are those the sums are about."""
    counts, moments = sums
    counts = counts + _COUNT_OFFSET
    means, covariances = prior.kind.update(counts, moments, means, Columns(None, *counts.shape[1:]))
    return prior.posterior(counts, means, prior.kind.floor(covariances, reg_covar, 0))


class _Run:
    """The state of an inference."""

    def __init__(
        self,
        points: Points,
        prior: Hyperparameters,
        start: Posterior,
        tol: float,
        reg_covar: float,
    ) -> None:
        self.points, self.prior, self.tol, self.reg_covar = points, prior, tol, reg_covar
        self.posterior = start.of([t.clone() for t in start.tensors()])
        self.singular = self._is_singular(start).clone()
        self.active = ~self.singular.any(-1)  # (G, M)
        self.converged = torch.zeros_like(self.active)
        self.n_iter = torch.zeros_like(self.active, dtype=torch.int64)
        self.previous = torch.full(
            self.active.shape, torch.nan, dtype=torch.float64, device=points.device
        )
        self.history: list[Tensor] = []

    def step(self) -> Tensor:
        """Iterate the active mixtures once; return their lower bounds, NaN for others, (G, M)."""
        some = self.active.any(0).nonzero().squeeze(-1)
        old = self.posterior.of([t[:, some] for t in self.posterior.tensors()])
        columns = Columns(None, *old.mean_precision.shape[1:])
        parameters, kind = old.parameters(), linear(old.covariance_type)
        factors = kind.factor(parameters.covariances)
        found = expect(self.points, parameters, factors, columns, entropy=True)
        assert found.entropy is not None
        sums = (found.counts, found.moments)
        new = _posterior(self.prior, sums, old.means, self.reg_covar)
        return self._keep(some, new, found.entropy)

    def _keep(self, some: Tensor, new: Posterior, r_log_r: Tensor) -> Tensor:
        going_on = self.active[:, some]
        singular = self._is_singular(new) & going_on.unsqueeze(-1)
        sound = going_on & ~singular.any(-1)
        for kept, made in zip(self.posterior.tensors(), new.tensors(), strict=True):
            is_new = sound.view(*sound.shape, *[1] * (made.ndim - 2))
            kept[:, some] = torch.where(is_new, made, kept[:, some])
        self.singular[:, some] |= singular
        factors = linear(new.covariance_type).factor(new.covariances)
        bound = torch.full_like(self.previous, torch.nan)
        bound[:, some] = new.lower_bound(factors, r_log_r).masked_fill(~sound, torch.nan)
        self.history.append(bound)
        self.active[:, some] = sound
        self.n_iter[:, some] += sound
        self.converged |= ((bound - self.previous).abs() < self.tol) & self.active
        self.active &= ~self.converged
        self.previous = bound
        return bound

    def _is_singular(self, posterior: Posterior) -> Tensor:
        kind = linear(posterior.covariance_type)
        factors = kind.factor(posterior.covariances)
        return kind.is_singular(posterior.covariances, factors, posterior.means.shape[-2])
