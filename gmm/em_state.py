"""The state of a fit by EM: one step, what of it is stored, and the outcome."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gmm.density import Density, Parameters
from gmm.m_step import Sums, m_step
from gmm.mixture import Mixture
from gmm.points import Block, Points
from gmm.structures import Columns, structure

Kept = dict[str, Any]  # tensors, and lists and dicts of them

_PARAMETERS = ("log_weights", "means", "covariances")
_OWN = ("singular", "active", "empty", "converged", "n_iter", "previous")


@dataclass(frozen=True, eq=False)
class Fit:
    """The outcome of EM, for mixtures of batch shape *B.

    Attributes:
        mixture: The fitted mixtures; a mixture that broke down keeps its last sound parameters.
        log_likelihood: Mean log-likelihood of a point before every M-step, (*B, iterations);
            NaN after a mixture has converged or broken down.
        converged: Whether it changed by less than tol, (*B).
        n_iter: Number of EM steps, (*B).
        singular: Components whose covariance lost its density, (*B, K); EM stopped there.
        empty: Components that no point belongs to any more, (*B, K); they kept their place.
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
    """The state of one fit: M mixtures for each of the G data sets of points."""

    def __init__(
        self, points: Points, start: Mixture, reg_covar: float, min_variance: float
    ) -> None:
        self.points, self.reg_covar, self.min_variance = points, reg_covar, min_variance
        begun = start.relative_to(points.center.double())
        log_weights, means, covariances = (t.clone() for t in begun.tensors())
        self.state = Parameters(log_weights, means, covariances, start.covariance_type)
        self.structure = structure(start.covariance_type)
        G, M = start.batch_shape
        self.singular = self._is_singular(self.state)
        self.active = ~self.singular.any(-1)  # (G, M)
        self.empty = torch.zeros_like(self.singular)
        self.converged = torch.zeros_like(self.active)
        self.n_iter = torch.zeros(G, M, dtype=torch.int64, device=points.device)
        self.log_likelihood: list[Tensor] = []
        self.previous = torch.full((G, M), torch.nan, dtype=torch.float64, device=points.device)
        self._mixtures: slice | Tensor = slice(None)
        self._sets = [True] * G
        self._columns = Columns.of(self.state.log_weights)
        self._sums = Sums(points, start.covariance_type, self._columns)

    def step(self, tol: float) -> Tensor:
        """Take an EM step with every active mixture; return the mean log-likelihoods, (G, M)."""
        old = self.state.at(slice(None), self._mixtures)
        density = Density(old, self._columns)
        evidence = old.log_weights.new_zeros(old.log_weights.shape[:2])

        def responsibilities(block: Block) -> Tensor:
            joint, log_evidence = density(block)
            evidence[block.sets] += block.mask(log_evidence).sum(1)
            return joint.sub_(log_evidence.unsqueeze(-1)).exp_().to(block.x.dtype)

        sums = self._sums(self._blocks(), responsibilities, old.means)
        new, empty = m_step(sums, old, self._columns, self.reg_covar, self.min_variance)
        mean = self.points.total(evidence) / self.points.sizes.unsqueeze(-1)
        return self._keep(new, empty, mean, tol)

    def kept(self) -> Kept:
        """Return the state that an EM step changes, for `Memory` to store."""
        parameters = dict(zip(_PARAMETERS, self.state.tensors(), strict=True))
        own = {name: getattr(self, name) for name in _OWN}
        history = torch.stack(self.log_likelihood, -1)
        return {**parameters, **own, "log_likelihood": history, "sums": self._sums.state()}

    def restore(self, kept: Kept, tol: float) -> bool:
        """Restore a stored state; return whether all mixtures have ended."""
        for name, tensor in zip(_PARAMETERS, self.state.tensors(), strict=True):
            tensor.copy_(kept[name])
        for name in _OWN:
            getattr(self, name).copy_(kept[name])
        self.log_likelihood = list(kept["log_likelihood"].to(self.previous.device).unbind(-1))
        is_over = tol > 0 and self.finished()
        self._sums.restore(kept["sums"])
        return is_over

    def finished(self) -> bool:
        """Leave mixtures that have ended out of further steps; return whether all have ended.

        This waits for the device.
        """
        going_on = self.active.cpu()
        mixtures = going_on.any(0)
        if not bool(mixtures.any()):
            return True
        self._sets = going_on.any(1).tolist()
        index = mixtures.nonzero().squeeze(-1).to(self.active.device)
        if len(index) != self._columns.M:
            self._mixtures = index
            self._columns = Columns.of(self.state.log_weights[:, index])
            self._sums = Sums(self.points, self.state.covariance_type, self._columns)
        return False

    def result(self, start: Mixture, dtype: torch.dtype) -> Fit:
        batch = start.batch_shape
        means = self.state.means + self.points.center.double()[:, None, None]
        parts = (self.state.log_weights, means, self.state.covariances)
        shapes = (start.log_weights, start.means, start.covariances)
        tensors = [p.reshape(t.shape).to(dtype) for p, t in zip(parts, shapes, strict=True)]
        history = torch.stack(self.log_likelihood, -1) if self.log_likelihood else None
        shaped = [
            t.reshape((*batch, *t.shape[2:]))
            for t in (self.converged, self.n_iter, self.singular, self.empty)
        ]
        if history is None:
            history = torch.zeros(*self.active.shape, 0, dtype=torch.float64, device=means.device)
        mixture = Mixture(tensors[0], tensors[1], tensors[2], start.covariance_type)
        return Fit(mixture, history.reshape((*batch, history.shape[-1])), *shaped)

    def _blocks(self) -> Iterator[Block]:
        return (b for b in self.points.blocks() if any(self._sets[b.sets]))

    def _keep(self, new: Parameters, empty: Tensor, mean: Tensor, tol: float) -> Tensor:
        """Store the active mixtures' new parameters; return the mean log-likelihoods, (G, M)."""
        some = (slice(None), self._mixtures)
        going_on = self.active[some]
        singular = self._is_singular(new) & going_on.unsqueeze(-1)
        sound = going_on & ~singular.any(-1)
        for kept, made in zip(self.state.tensors(), new.tensors(), strict=True):
            shape = (*sound.shape, *[1] * (made.ndim - 2))
            kept[some] = torch.where(sound.view(shape), made, kept[some])
        self.singular[some] |= singular
        self.empty[some] = torch.where(sound.unsqueeze(-1), empty, self.empty[some])
        self.n_iter[some] += going_on
        history = torch.full_like(self.active, torch.nan, dtype=torch.float64)
        history[some] = torch.where(going_on, mean, torch.nan)
        self.active[some] = sound
        self.converged |= ((history - self.previous).abs() < tol) & self.active
        self.active &= ~self.converged
        self.previous = history
        self.log_likelihood.append(history)
        return history

    def _is_singular(self, state: Parameters) -> Tensor:
        K = state.log_weights.shape[-1]
        return self.structure.is_singular(state.covariances, K) & (state.log_weights > -torch.inf)
