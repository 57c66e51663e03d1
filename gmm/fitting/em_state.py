"""The state of a fit by EM: one step, what of it is stored, and the outcome."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.expectation.e_step import NEGLIGIBLE, expect
from gmm.fitting.replay import Glance, Replay
from gmm.kernels import LARGE, use_kernels
from gmm.maximising.m_step import m_step
from gmm.maximising.prior import NormalInverseWishart
from gmm.mixtures.mixture import Mixture
from gmm.points import Points
from gmm.structures import Columns, Linear, structure

if TYPE_CHECKING:
    from gmm.fitting.compiled_steps import CompiledSteps

Kept = dict[str, Any]  # tensors, and lists and dicts of them

_PARAMETERS = ("log_weights", "means", "covariances")
_CAPTURED = 512  # features up to which launching kernels takes much of the time
_OWN = ("singular", "active", "empty", "converged", "n_iter", "previous")


@dataclass(frozen=True, eq=False)
class Fit:
    """The outcome of EM, for mixtures of batch shape *B.

    Attributes:
        mixture: The fitted mixtures; a mixture that broke down keeps its last sound parameters.
        log_likelihood: Mean log-likelihood of a point before every M-step, (*B, iterations);
            NaN after a mixture has converged or broken down. With a prior, its log-density is
            added to the log-likelihood of all points before they are averaged.
        converged: Whether it changed by less than tol, (*B).
        n_iter: Number of EM steps, (*B).
        singular: Components whose covariance lost its density, (*B, K); EM stopped there.
        empty: Components that no point belongs to any more, (*B, K); they kept their place, or
            went to the mode of the prior, if there is one.
    """

    mixture: Mixture
    log_likelihood: Tensor
    converged: Tensor
    n_iter: Tensor
    singular: Tensor
    empty: Tensor

    @property
    def final_log_likelihood(self) -> Tensor:
        """Return the last mean log-likelihood of every mixture, (*B); -inf where it broke down."""
        last = (self.n_iter - 1).clamp_min(0).unsqueeze(-1)
        if self.log_likelihood.shape[-1] == 0:
            return torch.where(self.singular.any(-1), -torch.inf, torch.nan)
        final = self.log_likelihood.gather(-1, last).squeeze(-1)
        return torch.where(self.singular.any(-1) | final.isnan(), -torch.inf, final)


class EMState:
    """The state of one fit: M mixtures for each of the G data sets of points.

    Args:
        points: The data sets.
        start: The mixtures to begin with, batch shape (G, M).
        reg_covar: See `fit_em`.
        min_variance: See `fit_em`.
        tol: See `fit_em`.
        lag: Iterations that a GPU may be ahead of the test whether all mixtures have ended.
        prior: See `fit_em`.
    """

    def __init__(
        self,
        points: Points,
        start: Mixture,
        reg_covar: float,
        min_variance: float,
        tol: float,
        lag: int = 0,
        prior: NormalInverseWishart | None = None,
    ) -> None:
        self.points, self.reg_covar, self.min_variance = points, reg_covar, min_variance
        self.tol = tol
        begun = start.relative_to(points.center.double())
        log_weights, means, covariances = (t.clone() for t in begun.tensors())
        self.state = Parameters(log_weights, means, covariances, start.covariance_type)
        self.structure = structure(start.covariance_type)
        G, M = start.batch_shape
        self.prior = None
        if prior is not None:
            self.prior = prior.of(points, start.n_components, start.covariance_type)
        self.factors = self.structure.factor(covariances)  # on a diagonal, the same tensor
        self.singular = self._is_singular(self.state, self.factors)
        self.active = ~self.singular.any(-1)  # (G, M)
        self.empty = torch.zeros_like(self.singular)
        self.converged = torch.zeros_like(self.active)
        self.n_iter = torch.zeros(G, M, dtype=torch.int64, device=points.device)
        self.log_likelihood: list[Tensor] = []
        self.previous = torch.full((G, M), torch.nan, dtype=torch.float64, device=points.device)
        self._mixtures: slice | Tensor = slice(None)
        self._sets = [True] * G
        self._lag, self._ended = lag, Glance(lag)
        self._compiled = self._compiled_steps()
        self._pack()

    def step(self) -> Tensor:
        """Take an EM step with every active mixture; return the mean log-likelihoods, (G, M).

        From the second on, steps with points that stay on a GPU are launched as a CUDA graph.
        """
        if self._compiled is not None and self._compiled.prepare():
            self._compiled.step()
        else:
            self._replay()
        self.log_likelihood.append(self.previous.clone())
        return self.log_likelihood[-1]

    @property
    def is_captured(self) -> bool:
        """Return whether steps are launched as a CUDA graph."""
        return self._replay.graph is not None

    def _step(self) -> None:
        """Take an EM step in place, waiting for nothing on a GPU."""
        old = self.state.at(slice(None), self._mixtures)
        factors = self.factors[:, self._mixtures]
        prior = None if self.prior is None else self.prior.at(self._mixtures)
        found = expect(self.points, old, factors, self._columns, sets=self._sets)
        sums = (found.counts, found.moments)
        new, empty = m_step(sums, old, self._columns, self.reg_covar, self.min_variance, prior)
        total = found.log_evidence
        if prior is not None:
            total = total + prior.log_density(*old.tensors(), factors)
        mean = total / self.points.sizes.unsqueeze(-1)
        self._keep(new, empty, mean)

    def _pack(self) -> None:
        """Prepare steps for the mixtures that go on."""
        self._columns = Columns.of(self.state.log_weights[:, self._mixtures])
        self._replay = Replay(self._step, self._may_capture())

    def _compiled_steps(self) -> "CompiledSteps | None":
        """Return what takes steps without PyTorch, where it can."""
        floors_eigenvalues = not self.structure.on_diagonal and self.min_variance > 0
        is_plain = isinstance(self.structure, Linear) and self.prior is None
        is_small = self.structure.on_diagonal or self.points.n_features < LARGE
        is_plain = is_plain and is_small and not floors_eigenvalues and self.points.is_alone
        is_plain = is_plain and not self.points.has_missing
        if not (is_plain and use_kernels(self.points.device)):
            return None
        from gmm.fitting.compiled_steps import FLAGS, CompiledSteps

        flags = [getattr(self, name) for name in FLAGS]
        return CompiledSteps(
            self.points,
            self.state,
            self.factors,
            flags,
            self.reg_covar,
            self.min_variance,
            self.tol,
            NEGLIGIBLE[self.points.dtype],
        )

    def _may_capture(self) -> bool:
        """Return whether steps read all from a GPU, and call no routine that waits for it."""
        kind, points = self.structure, self.points
        waits = not kind.on_diagonal and (
            self.min_variance > 0 or points.n_features > _CAPTURED or points.has_missing
        )
        return points.device.type == "cuda" and points.keeps and points.is_alone and not waits

    def kept(self) -> Kept:
        """Return the state that an EM step changes, for `Memory` to store."""
        parameters = dict(zip(_PARAMETERS, self.state.tensors(), strict=True))
        own = {name: getattr(self, name) for name in _OWN}
        history = torch.stack(self.log_likelihood, -1)
        return {**parameters, **own, "log_likelihood": history}

    def restore(self, kept: Kept) -> bool:
        """Restore a stored state; return whether all mixtures have ended."""
        for name, tensor in zip(_PARAMETERS, self.state.tensors(), strict=True):
            tensor.copy_(kept[name])
        self.factors.copy_(self.structure.factor(self.state.covariances))
        self._compiled = self._compiled_steps()
        for name in _OWN:
            getattr(self, name).copy_(kept[name])
        self.log_likelihood = list(kept["log_likelihood"].to(self.previous.device).unbind(-1))
        return self.tol > 0 and self.finished()

    def finished(self) -> bool:
        """Leave mixtures that have ended out of further steps; return whether all have ended.

        On a GPU this looks at the mixtures as they were `lag` calls ago.
        """
        if self._compiled is not None and self._compiled.prepare():
            return self._compiled.is_over()
        going_on = self._ended(self.active)
        if going_on is None:
            return False
        mixtures = going_on.any(0)
        if not bool(mixtures.any()):
            return True
        n_left = int(mixtures.sum())
        # On a GPU, other steps would have to be captured.
        if n_left < self._columns.M / (2 if self.is_captured else 1):
            self._mixtures = mixtures.nonzero().squeeze(-1).to(self.active.device)
            self._sets = going_on.any(1).tolist()
            self._pack()
        elif not self.is_captured:
            self._sets = going_on.any(1).tolist()
        return False

    def result(self, start: Mixture, dtype: torch.dtype) -> Fit:
        batch = start.batch_shape
        means = self.state.means + self.points.center.double()[:, None, None]
        parts = (self.state.log_weights, means, self.state.covariances)
        shapes = (start.log_weights, start.means, start.covariances)
        tensors = [p.reshape(t.shape).to(dtype) for p, t in zip(parts, shapes, strict=True)]
        self._replay = Replay(self._step, captures=False)  # a graph would hold its memory
        if self._lag:  # steps that were taken after all mixtures had ended
            del self.log_likelihood[max(1, int(self.n_iter.max())) :]
        history = torch.stack(self.log_likelihood, -1) if self.log_likelihood else None
        shaped = [
            t.reshape((*batch, *t.shape[2:]))
            for t in (self.converged, self.n_iter, self.singular, self.empty)
        ]
        if history is None:
            history = torch.zeros(*self.active.shape, 0, dtype=torch.float64, device=means.device)
        mixture = Mixture(tensors[0], tensors[1], tensors[2], start.covariance_type)
        return Fit(mixture, history.reshape((*batch, history.shape[-1])), *shaped)

    def _keep(self, new: Parameters, empty: Tensor, mean: Tensor) -> None:
        """Store the active mixtures' new parameters and their mean log-likelihoods, (G, M)."""
        some = (slice(None), self._mixtures)
        going_on = self.active[some]
        factors = self.structure.factor(new.covariances)
        singular = self._is_singular(new, factors) & going_on.unsqueeze(-1)
        sound = going_on & ~singular.any(-1)
        pairs = [*zip(self.state.tensors(), new.tensors(), strict=True), (self.empty, empty)]
        if self.factors is not self.state.covariances:
            pairs.append((self.factors, factors))
        for kept, made in pairs:
            is_new = sound.view(*sound.shape, *[1] * (made.ndim - 2))
            if isinstance(self._mixtures, slice):
                torch.where(is_new, made, kept, out=kept)
            else:
                kept[some] = torch.where(is_new, made, kept[some])
        self.singular[some] |= singular
        self.n_iter[some] += going_on
        history = torch.full_like(self.previous, torch.nan)
        history[some] = mean.masked_fill(~going_on, torch.nan)
        self.active[some] = sound
        self.converged |= ((history - self.previous).abs() < self.tol) & self.active
        self.active &= ~self.converged
        self.previous.copy_(history)

    def _is_singular(self, state: Parameters, factors: Tensor) -> Tensor:
        K = state.log_weights.shape[-1]
        singular = self.structure.is_singular(state.covariances, factors, K)
        return singular & (state.log_weights > -torch.inf)
