"""Expectation-maximisation for many mixtures on many data sets at once."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from gmm.expectation.observed import check_missing
from gmm.fitting.em_state import EMState, Fit, Kept
from gmm.fitting.shared import SharedState
from gmm.kernels import ready_for_passes
from gmm.maximising.prior import NormalInverseWishart
from gmm.mixtures.mixture import Mixture
from gmm.points import Batches, Distributed, Points, open_points

Callback = Callable[[int, Tensor], None]

# Iterations that a GPU may be ahead of the test whether to stop.
_LAG = 2


class Memory(Protocol):
    """A store for the state of EM, from which a fit that was cut off can go on."""

    def recall(self) -> Kept | None:
        """Return the state that was stored last, or None."""

    def keep(self, state: Callable[[], Kept]) -> None:
        """Store the state after an iteration, or skip it, and then do not call `state`."""


def fit_em(
    data: Tensor | Sequence[Tensor] | Batches | Distributed,
    start: Mixture,
    *,
    max_iter: int = 100,
    tol: float = 1e-3,
    reg_covar: float = 0.0,
    min_variance: float = 0.0,
    chunk_size: int | None = None,
    previous: Tensor | None = None,
    callback: Callback | None = None,
    memory: Memory | None = None,
    prior: NormalInverseWishart | None = None,
    missing: bool = False,
    sample_weight: Tensor | Sequence[Tensor] | None = None,
) -> Fit:
    """Fit every mixture of a batch by EM (Bishop 2006, eqs. 9.23-9.27).

    Args:
        data: Points (*C, N, D); or a list of G data sets (N_g, D) of any sizes, then *C is (G,);
            or an iterable of batches (n, D), read once per iteration, or this process's part of
            points, then *C is ().
        start: Where to begin, batch shape *B, of which *C are the first dimensions: the mixtures
            of the other dimensions share the data. Slots of log weight -inf stay unused.
        max_iter: The largest number of EM steps.
        tol: A mixture stops once its mean log-likelihood changes by less than this; with 0 all
            of them take max_iter steps and the device is never waited for.
        reg_covar: Added to the variances (the diagonal) after every M-step, in squared units.
        min_variance: Floor under the variances after that, in squared units; under the
            eigenvalues if tied or full.
        chunk_size: Points worked on at a time; chosen to bound memory by default.
        previous: Mean log-likelihoods (*B) that the first ones are compared with, for a start that
            another fit ended at.
        callback: Called with the iteration (from 1) and its mean log-likelihoods (G, M).
        memory: Stores the state, and recalls a stored one to go on from instead of the start.
        prior: With one, EM climbs to a maximum of the posterior (MAP) in place of the likelihood:
            wherever this says log-likelihood, the prior's log-density is added.
        sample_weight: How often each point counts, (*C, N), or a list of G tensors (N_g,), not
            negative: a weight of 2 is as good as the same point twice, one of 0 as if it were not
            there. Means of points, such as log-likelihoods, are weighted. Not for batches and
            points of several processes.
        missing: Whether NaN stands for a value that is missing at random: the likelihood is then
            that of the other values, and what is missing enters the M-step as its expectation
            (Ghahramani & Jordan 1994). For diag, spherical, tied and full. A point without any
            value counts as one, of log-likelihood 0.

    Raises:
        ValueError: If a value is not finite, shapes do not agree, or weights break a rule; where
            values may be missing, if one is infinite, a feature has none at all, or the structure
            is another.

    Examples:
        A single component has its maximum after one step: the mean and variance of the points.

        >>> import gmm, torch
        >>> x = torch.tensor([[1.0], [2.0], [6.0]])
        >>> start = gmm.Mixture(torch.zeros(1), torch.zeros(1, 1), torch.ones(1, 1))
        >>> fit = gmm.fit_em(x, start, max_iter=1)
        >>> fit.mixture.means, fit.mixture.covariances
        (tensor([[3.]]), tensor([[4.6667]]))
    """
    if missing:
        check_missing(start.covariance_type)
    points, shape = open_points(
        data,
        sample_weight=sample_weight,
        chunk_size=chunk_size,
        row_numbers=start.row_numbers,
        wide=start.structure.on_diagonal,
        missing=missing,
    )
    return fit_points(
        points,
        shape,
        start,
        max_iter=max_iter,
        tol=tol,
        reg_covar=reg_covar,
        min_variance=min_variance,
        previous=previous,
        callback=callback,
        memory=memory,
        prior=prior,
    )


def fit_points(
    points: Points,
    shape: tuple[int, ...],
    start: Mixture,
    *,
    max_iter: int,
    tol: float,
    reg_covar: float,
    min_variance: float,
    previous: Tensor | None = None,
    callback: Callback | None = None,
    memory: Memory | None = None,
    prior: NormalInverseWishart | None = None,
    share_covariance: bool = False,
) -> Fit:
    """Fit as `fit_em` does, to `Points` that are open already and have the given batch shape.

    With share_covariance, starts have the same covariance in all data sets, see `SharedState`.
    """
    check_limits(max_iter=max_iter, tol=tol, reg_covar=reg_covar, min_variance=min_variance)
    if shape != tuple(start.batch_shape[: len(shape)]):
        got = tuple(start.batch_shape)
        raise ValueError(
            f"start must have a batch shape that begins {shape}, as the data, got {got}"
        )
    if points.n_features != start.n_features:
        raise ValueError(
            f"data must have {start.n_features} features, as the start, got {points.n_features}"
        )
    flat = start.flatten(len(shape)).to(points.device)
    lag = _LAG if tol > 0 and callback is None and memory is None else 0
    state = SharedState if share_covariance else EMState
    run = state(points, flat, reg_covar, min_variance, tol, lag, prior)
    if previous is not None:
        run.previous.copy_(previous.reshape(run.active.shape))
    kept = memory.recall() if memory is not None else None
    is_over = kept is not None and run.restore(kept)
    with ready_for_passes(points.device):
        for iteration in range(len(run.log_likelihood) + 1, max_iter + 1):
            if is_over:
                break
            mean = run.step()
            if callback is not None:
                callback(iteration, mean)
            is_over = tol > 0 and run.finished()
            if memory is not None:
                memory.keep(run.kept)
    return run.result(start, points.dtype)


def check_limits(**named: float) -> None:
    """Raise ValueError unless every one of the named values is at least 0."""
    for name, value in named.items():
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
