"""EM steps on a CPU by compiled loops alone, without a call of PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.kernels import n_statistics
from gmm.kernels.natural import natural_parameters, quadratic_of_all
from gmm.kernels.passes import Components
from gmm.kernels.update import settle_step, update
from gmm.points import Points
from gmm.structures import Covariance, linear

Array = np.ndarray[Any, Any]


# What a step says of M mixtures for each of G data sets, as attributes of `EMState`.
FLAGS = ("singular", "empty", "active", "converged", "n_iter", "previous")


class CompiledSteps:
    """Takes EM steps with the active mixtures of all data sets, in place.

    Args:
        points: The data sets, on the CPU, all in this process.
        state: The mixtures, of contiguous tensors.
        factors: Those of the covariances, see `Covariance.factor`.
        flags: Contiguous tensors, in the order of FLAGS.
        reg_covar: See `fit_em`, as for the rest.
        min_variance: 0 where structures have correlations.
        tol: When a mixture ends.
        precision: Largest error of a log density that is put up with.
    """

    def __init__(
        self,
        points: Points,
        state: Parameters,
        factors: Tensor,
        flags: Sequence[Tensor],
        reg_covar: float,
        min_variance: float,
        tol: float,
        precision: float,
    ) -> None:
        self._points = points
        self._batches = list(points.arrays()) if points.has_arrays else None
        self._floors = (reg_covar, min_variance)
        self._tol = tol
        self._most = precision / torch.finfo(torch.float64).eps
        kind = linear(state.covariance_type)
        self._products, self._is_shared = kind.products, kind.is_shared
        weights, means, covariances = state.tensors()
        arrays = [weights, means, _matrices(covariances, kind), _matrices(factors, kind)]
        self._parameters = [t.numpy() for t in arrays]
        self._flags = [t.numpy() for t in flags]
        self._spread = _spread(points) if not kind.on_diagonal else points.center.double().numpy()
        scatter = points.scatter if kind.is_shared else torch.zeros(len(points), 1, 1).double()
        self._scatter = scatter.numpy()
        self._centers, self._sizes = points.center.numpy(), points.sizes.tolist()
        self._components: list[tuple[Components, Array, Array] | None] = [None] * len(points)
        self._is_ready = False

    def prepare(self) -> bool:
        """Return whether the next step is exact enough; it is then ready to be taken."""
        if not self._is_ready:
            sizes = [self._prepare(g) for g in range(len(self._components))]
            self._is_ready = bool(np.max(sizes) <= self._most)  # not where one is NaN
        return self._is_ready

    def step(self) -> None:
        """Take a step, which `prepare` has made ready."""
        singular, empty, active, converged, n_iter, previous = self._flags
        swept: dict[int, Any] = {}
        for g, x, weights in self._batches or self._points.arrays():
            made = self._components[g]
            if made is None:
                continue
            part = made[0].sums([(x, weights)])
            if g in swept:
                swept[g] += part
            else:
                swept[g] = part
        sizes = [0.0]
        for g, made in enumerate(self._components):
            if made is None:
                previous[g] = np.nan
                continue
            components, mixtures, slots = made
            evidence = swept[g].evidence
            if self._is_shared:
                roots = self._parameters[3][g]
                evidence = evidence - 0.5 * np.array(
                    [quadratic_of_all(roots[m, 0], self._scatter[g]) for m in mixtures]
                )
            of_set = [values[g] for values in self._parameters]
            update(
                *(self._products, swept[g].sums, components.first, mixtures, slots),
                *(self._scatter[g], *self._floors, *of_set, singular[g], empty[g]),
            )
            settle_step(
                *(evidence, self._sizes[g], mixtures, self._tol, singular[g]),
                *(active[g], converged[g], n_iter[g], previous[g]),
            )
            sizes.append(self._prepare(g))
        self._is_ready = bool(np.max(sizes) <= self._most)

    def is_over(self) -> bool:
        """Return whether all mixtures have ended."""
        return not self._flags[2].any()

    def _prepare(self, g: int) -> float:
        """Make the components of a data set's active mixtures; return the size of their terms."""
        active = self._flags[2][g]
        if not active.any():
            self._components[g] = None
            return 0.0
        log_weights, _, _, _ = (values[g] for values in self._parameters)
        made = self._components[g]
        mixtures = active.nonzero()[0]
        if made is None or len(mixtures) < len(made[1]):
            used = log_weights[mixtures] > -np.inf
            first = np.concatenate([[0], used.sum(1).cumsum()])
            shape = (first[-1], n_statistics(self._products, self._spread.shape[1]))
            center = self._centers[g]
            components = Components(self._products, np.empty(shape), first, center)
            made = (components, mixtures, used.nonzero()[1])
            self._components[g] = made
        components, mixtures, slots = made
        size: float = natural_parameters(
            *(self._products, components.first, mixtures, slots, self._spread[g]),
            *(*(values[g] for values in self._parameters), components.natural),
        )
        return size


def _spread(points: Points) -> Array:
    """Return the root of the mean square of every feature, (G, D)."""
    mean, variance = points.moments
    spread: Array = (variance + mean.square()).sqrt().numpy()
    return spread


def _matrices(values: Tensor, kind: Covariance) -> Tensor:
    """Return covariances or factors, (G, M, *shape), as (G, M, number, rows, columns)."""
    if kind.is_shared:
        return values.unsqueeze(2)
    while values.ndim < 5:
        values = values.unsqueeze(-1)
    return values
