"""Stepwise EM: mixtures that learn from a stream of batches, each of which is seen once.

The E-step of a batch gives sufficient statistics, which are averaged with those of the batches
before; the M-step takes the average (Cappé & Moulines 2009, "On-line expectation-maximization
algorithm for latent data models", eqs. 12-13; in batches, Liang & Klein 2009, "Online EM for
unsupervised models").
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gmm.expectation.density import Parameters
from gmm.expectation.e_step import expect
from gmm.fitting.em import check_limits
from gmm.kernels import ready_for_passes
from gmm.maximising.conjugate import beside
from gmm.maximising.m_step import maxima, parameters_of
from gmm.mixtures.mixture import Mixture
from gmm.points import Batches, Points, open_points
from gmm.structures import Columns, Linear, linear


@dataclass(frozen=True, eq=False)
class Statistics:
    """Average sufficient statistics of the points of every component, for G x M mixtures.

    Counts, means and covariances say the same as sums of points and of their products. Those would
    have to be relative to one centre for all batches, and lose digits far from there; these can be
    averaged whatever centre each batch was worked on with.

    Attributes:
        counts: Points, (G, M, K).
        means: Theirs, (G, M, K, D).
        covariances: Theirs, (G, M, *shape).
    """

    counts: Tensor
    means: Tensor
    covariances: Tensor

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.counts, self.means, self.covariances

    def reshape(self, G: int, M: int) -> "Statistics":
        counts, means, covariances = (t.reshape(G, M, *t.shape[2:]) for t in self.tensors())
        return Statistics(counts, means, covariances)

    def averaged(self, new: "Statistics", gamma: float, kind: Linear) -> "Statistics":
        """Return (1 - gamma) times these and gamma times the new ones.

        As sums over points of two groups they are put together by the formulae of Chan, Golub &
        LeVeque (1983, "Algorithms for computing the sample variance", eq. 2.1).
        """
        before, added = (1 - gamma) * self.counts, gamma * new.counts
        counts = before + added
        share = added / counts.clamp_min(torch.finfo(counts.dtype).tiny)
        offsets = new.means - self.means
        scatter = kind.scatter(before, self.covariances, before * share, offsets)
        scatter = scatter + kind.scatter(
            added, new.covariances, torch.zeros_like(added), torch.zeros_like(offsets)
        )
        n = counts.sum(-1) if kind.is_shared else counts
        n = n.clamp_min(torch.finfo(n.dtype).tiny)
        means = self.means + share.unsqueeze(-1) * offsets
        return Statistics(counts, means, scatter / beside(n, scatter))


class StepwiseEM:
    """EM on a stream of batches, for every mixture of a batch.

    Sums over the points of a batch are averaged with those before, s <- (1 - gamma) s + gamma
    s(batch) with gamma = (t + learning_offset)^-learning_decay for the t-th batch: a batch counts
    by its points. Of the first batch, gamma is 1. With learning_decay=1 and learning_offset=0 all
    points count the same, whenever they were seen; else later ones count more, and what the first
    parameters made of the first points is forgotten.

    Args:
        mixture: Where to begin, batch shape *B. Slots of log weight -inf stay unused. On its
            device and in its dtype results are.
        n_points: Of how many points the mixture is the fit, which count as the first batch; 0 for
            a mixture that is a mere guess.
        learning_decay: kappa, above 0.5 and at most 1; names and meaning are those of
            sklearn.decomposition.LatentDirichletAllocation.
        learning_offset: t0, at least 0; the larger, the less early batches change.
        reg_covar: See `gmm.fit_em`, as for min_variance and chunk_size.
        min_variance: See there.
        chunk_size: See there.

    Attributes:
        n_batches: Number of batches seen, t.
        learning_decay: The arguments of these names, which may be changed between batches, as
            learning_offset, reg_covar, min_variance and chunk_size.

    Raises:
        ValueError: If an argument breaks its rule, or the structure is factor or ppca.

    Examples:
        >>> import gmm, torch
        >>> start = gmm.Mixture(torch.zeros(1), torch.zeros(1, 1), torch.ones(1, 1))
        >>> stream = gmm.StepwiseEM(start, learning_decay=1, learning_offset=0)
        >>> for batch in (torch.tensor([[1.0], [2.0]]), torch.tensor([[6.0]])):
        ...     log_likelihood = stream.step(batch)
        >>> stream.mixture.means, stream.mixture.covariances  # of all points
        (tensor([[3.]]), tensor([[4.6667]]))
    """

    def __init__(
        self,
        mixture: Mixture,
        *,
        n_points: float = 0,
        learning_decay: float = 0.7,
        learning_offset: float = 1.0,
        reg_covar: float = 0.0,
        min_variance: float = 0.0,
        chunk_size: int | None = None,
    ) -> None:
        self.learning_decay, self.learning_offset = learning_decay, learning_offset
        self.reg_covar, self.min_variance = reg_covar, min_variance
        self.chunk_size = chunk_size
        self._check(n_points)
        self._kind = linear(mixture.covariance_type)
        self._batch_shape, self._dtype = mixture.batch_shape, mixture.means.dtype
        flat = mixture.reshape((1, mixture.batch_shape.numel()))
        self._state = flat.relative_to(flat.means.new_zeros(1, flat.n_features).double())
        broken = self._is_singular(self._state)
        if broken.any():
            k = int(broken.nonzero()[0, -1])
            raise ValueError(
                f"mixture must have positive definite covariances, got component {k} with another"
            )
        self._singular = self._empty = torch.zeros_like(broken)
        self.n_batches = 0
        self._statistics: Statistics | None = None
        if n_points > 0:
            self.n_batches = 1
            # Of points at a fixed point of EM, which ends with the addition of reg_covar.
            of_points = self._kind.floor(self._state.covariances, -reg_covar, 0)
            counts = n_points * self._state.log_weights.exp()
            self._statistics = Statistics(counts, self._state.means, of_points)

    @property
    def mixture(self) -> Mixture:
        """Return the mixtures as they are now, batch shape *B."""
        parts = self._state.tensors()
        tensors = [t.reshape(*self._batch_shape, *t.shape[2:]).to(self._dtype) for t in parts]
        return Mixture(tensors[0], tensors[1], tensors[2], self._kind.name)

    @property
    def singular(self) -> Tensor:
        """Return the components whose covariance had no density after the last batch, (*B, K).

        Their mixtures kept their parameters, and go on once their statistics have a density.
        """
        return self._singular.reshape(*self._batch_shape, -1)

    @property
    def empty(self) -> Tensor:
        """Return the components that no point belongs to, (*B, K); they keep their place."""
        return self._empty.reshape(*self._batch_shape, -1)

    @property
    def gamma(self) -> float:
        """Return the share that the next batch will have in the statistics."""
        if self.n_batches == 0:
            return 1.0
        return float((self.n_batches + 1 + self.learning_offset) ** -self.learning_decay)

    def step(self, batch: Tensor | Sequence[Tensor] | Batches) -> Tensor:
        """Learn from a batch of points.

        Args:
            batch: Points (*C, N, D), or in another form that `gmm.fit_em` takes, of any number.

        Returns:
            Mean log-likelihood of a point under the mixtures as they were before, (*B): of points
            that they have not seen.

        Raises:
            ValueError: If a value is not finite or shapes do not agree; then nothing has changed.
        """
        self._check()
        _, M, K = self._state.log_weights.shape
        points, shape = open_points(
            batch,
            device=self._state.means.device,
            chunk_size=self.chunk_size,
            row_numbers=lambda D: self._kind.row_numbers(M, K, D),
            wide=self._kind.on_diagonal,
        )
        self._check_points(points, shape)
        with ready_for_passes(points.device):
            new, log_evidence = _seen(points, _in_sets(self._state, len(points)))
        self._learn(new.reshape(1, M))
        self.n_batches += 1
        return (log_evidence / points.sizes.unsqueeze(-1)).reshape(self._batch_shape)

    def _learn(self, new: Statistics) -> None:
        """Average the statistics, and take the parameters from them where they have a density."""
        if self._statistics is not None:
            new = self._statistics.averaged(new, self.gamma, self._kind)
        self._statistics = new
        floors = (self.reg_covar, self.min_variance)
        made, empty = parameters_of(*new.tensors(), self._state, *floors)
        self._singular = self._is_singular(made)
        sound = ~self._singular.any(-1)
        pairs = [*zip(self._state.tensors(), made.tensors(), strict=True), (self._empty, empty)]
        kept = [torch.where(beside(sound, theirs), theirs, own) for own, theirs in pairs]
        self._empty = kept.pop()
        self._state = Parameters(kept[0], kept[1], kept[2], self._kind.name)

    def _is_singular(self, state: Parameters) -> Tensor:
        factors = self._kind.factor(state.covariances)
        K = state.log_weights.shape[-1]
        singular = self._kind.is_singular(state.covariances, factors, K)
        return singular & (state.log_weights > -torch.inf)

    def _check(self, n_points: float = 0) -> None:
        if not 0.5 < self.learning_decay <= 1:
            got = self.learning_decay
            raise ValueError(f"learning_decay must be above 0.5 and at most 1, got {got}")
        check_limits(
            n_points=n_points,
            learning_offset=self.learning_offset,
            reg_covar=self.reg_covar,
            min_variance=self.min_variance,
        )

    def _check_points(self, points: Points, shape: tuple[int, ...]) -> None:
        D, batch_shape = self._state.means.shape[-1], tuple(self._batch_shape)
        if points.n_features != D:
            raise ValueError(
                f"batch must have {D} features, as the mixture, got {points.n_features}"
            )
        if shape != batch_shape[: len(shape)]:
            raise ValueError(
                f"batch must have a batch shape that begins {batch_shape}, as the mixture, got "
                f"{shape}"
            )


def _seen(points: Points, old: Parameters) -> tuple[Statistics, Tensor]:
    """Return what G x M mixtures see in the points, and the sum of log p(x), (G, M)."""
    center = points.center.double()[:, None, None]
    old = replace(old, means=old.means - center)
    columns = Columns.of(old.log_weights)
    factors = linear(old.covariance_type).factor(old.covariances)
    found = expect(points, old, factors, columns)
    means, covariances = maxima((found.counts, found.moments), old, columns)
    return Statistics(found.counts, means + center, covariances), found.log_evidence


def _in_sets(state: Parameters, G: int) -> Parameters:
    """Return the parameters of all mixtures, (1, M, ...), as those of G data sets."""
    tensors = [t.reshape(G, -1, *t.shape[2:]) for t in state.tensors()]
    return Parameters(tensors[0], tensors[1], tensors[2], state.covariance_type)
