"""A batch of Gaussian mixtures as a value: densities, predictions, samples, files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MixtureSameFamily

from gmm.expectation.density import Parameters
from gmm.expectation.e_step import expected_points, values_of
from gmm.kernels import EVIDENCE, JOINT, LIKELIEST, RESPONSIBILITIES
from gmm.mixtures.bounds import Bounds, entropy_bounds, kl_bounds
from gmm.mixtures.components import Components, components
from gmm.mixtures.conditioning import condition, positions
from gmm.mixtures.interchange import from_distribution, from_sklearn, to_distribution, to_sklearn
from gmm.mixtures.model_file import read_model, write_model
from gmm.mixtures.moments import overall_covariance, overall_mean
from gmm.points import Points, checked_weights
from gmm.structures import Covariance, FactorAnalysis, structure


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussian mixtures of batch shape *B: p(x) = sum_k pi_k N(x | mu_k, Sigma_k).

    Points given to a batch of mixtures are (*C, N, D) where *C are the first of *B: the mixtures
    of the remaining dimensions share them, so restarts on the same data need no copies of it.

    Attributes:
        log_weights: log pi, (*B, K); -inf in slots without a component.
        means: (*B, K, D).
        covariances: (*B, K, D) if diag, (*B, K) if spherical, (*B, D, D) if tied,
            (*B, K, D, D) if full, and (*B, K, D, q + 1) if factor or ppca: the loadings of q
            factors, and the variances of the noise as the last column.
        covariance_type: diag, spherical, tied, full, factor or ppca.

    Raises:
        ValueError: If the shapes do not agree or the structure is unknown.

    Examples:
        >>> import gmm, torch
        >>> halves, means = torch.tensor([0.5, 0.5]).log(), torch.tensor([[-1.0], [1.0]])
        >>> mixture = gmm.Mixture(halves, means, torch.ones(2, 1))
        >>> mixture.predict(torch.tensor([[-2.0], [3.0]]))
        tensor([0, 1])
        >>> mixture.score_samples(torch.zeros(1, 1))  # log N(0 | 1, 1)
        tensor([-1.4189])
    """

    log_weights: Tensor
    means: Tensor
    covariances: Tensor
    covariance_type: str = "diag"

    def __post_init__(self) -> None:
        *batch, K, D = self.means.shape
        expected = (*batch, *self.structure.shape(K, D))
        for name, shape in (("log_weights", (*batch, K)), ("covariances", expected)):
            if getattr(self, name).shape != shape:
                got = tuple(getattr(self, name).shape)
                raise ValueError(
                    f"{name} must have shape {tuple(shape)} to go with means of shape "
                    f"{tuple(self.means.shape)}, got {got}"
                )

    @property
    def structure(self) -> Covariance:
        return structure(self.covariance_type, self.n_factors)

    @property
    def n_factors(self) -> int | None:
        """Return q of factor and ppca; None of the other structures, which have none."""
        if not isinstance(structure(self.covariance_type), FactorAnalysis):
            return None
        columns = self.covariances.shape[-1] if self.covariances.ndim else 0
        return max(0, columns - 1)

    @property
    def batch_shape(self) -> torch.Size:
        return self.means.shape[:-2]

    @property
    def n_features(self) -> int:
        return self.means.shape[-1]

    @property
    def n_components(self) -> Tensor:
        """Return the number of components of every mixture, (*B)."""
        return (self.log_weights > -torch.inf).sum(-1)

    @property
    def weights(self) -> Tensor:
        return self.log_weights.exp()

    @property
    def n_parameters(self) -> Tensor:
        """Return the number of free parameters of every mixture, (*B)."""
        kind, D = self.structure, self.n_features
        counts = [K * D + K - 1 + kind.n_parameters(K, D) for K in range(self.means.shape[-2] + 1)]
        return torch.tensor(counts, device=self.means.device)[self.n_components]

    def __getitem__(self, index: Any) -> "Mixture":
        """Return some mixtures of the batch, without the slots that none of them uses."""
        parts = [t[index] for t in self.tensors()]
        at_k = parts[0].ndim - 1
        used = (parts[0] > -torch.inf).reshape(-1, parts[0].shape[-1]).any(0)
        slots = used.nonzero().squeeze(-1)
        n_with_k = 2 if self.structure.is_shared else 3
        packed = [t.index_select(at_k, slots) for t in parts[:n_with_k]]
        return self._with([*packed, *parts[n_with_k:]])

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.log_weights, self.means, self.covariances

    def _with(self, tensors: Iterable[Tensor]) -> "Mixture":
        log_weights, means, covariances = tensors
        return Mixture(log_weights, means, covariances, self.covariance_type)

    def to(self, *args: Any, **kwargs: Any) -> "Mixture":
        """Return the mixtures on another device or in another dtype, as `Tensor.to`."""
        return self._with(t.to(*args, **kwargs) for t in self.tensors())

    def log_joint(self, x: Tensor, chunk_size: int | None = None, missing: bool = False) -> Tensor:
        """Return log(pi_k N(x_n | mu_k, Sigma_k)), (*B, N, K).

        With `missing`, as in all that follows, NaN stands for a value that is missing: a density
        is that of the point's other features, and 1 where it has none.
        """
        return self._evaluate(x, JOINT, chunk_size, missing=missing)

    def score_samples(
        self,
        x: Tensor,
        chunk_size: int | None = None,
        dtype: torch.dtype | None = None,
        missing: bool = False,
    ) -> Tensor:
        """Return log p(x_n), (*B, N), in the dtype of x unless another is asked for."""
        return self._evaluate(x, EVIDENCE, chunk_size, dtype, missing)

    def predict_proba(
        self, x: Tensor, chunk_size: int | None = None, missing: bool = False
    ) -> Tensor:
        """Return the responsibilities (Bishop 2006, eq. 9.23), (*B, N, K)."""
        return self._evaluate(x, RESPONSIBILITIES, chunk_size, missing=missing)

    def predict(self, x: Tensor, chunk_size: int | None = None, missing: bool = False) -> Tensor:
        """Return the most probable component of each point, (*B, N)."""
        return self._evaluate(x, LIKELIEST, chunk_size, torch.int64, missing)

    def score(
        self,
        x: Tensor,
        chunk_size: int | None = None,
        sample_weight: Tensor | None = None,
        missing: bool = False,
    ) -> Tensor:
        """Return the mean log-likelihood of a point, (*B).

        Args:
            x: Points, (*C, N, D).
            chunk_size: Points worked on at a time; chosen to bound memory by default.
            sample_weight: How often each counts, (*C, N), not negative; see `gmm.fit_em`.

        Raises:
            ValueError: If the shapes do not agree, a value is not finite, or weights break a rule.
        """
        if sample_weight is None:
            return self.score_samples(x, chunk_size, missing=missing).mean(-1)
        weights = self._weights(x, sample_weight)
        counts = weights.reshape(x.shape[:-1]) > 0
        x = x.masked_fill(~counts.unsqueeze(-1).to(x.device), 0)  # whatever is there
        scores = self.score_samples(x, chunk_size, missing=missing)
        total = (scores.double() * weights).masked_fill(weights == 0, 0).sum(-1)
        return (total / weights.sum(-1)).to(scores.dtype)

    def bic(self, x: Tensor, sample_weight: Tensor | None = None, missing: bool = False) -> Tensor:
        """Return the Bayesian information criterion, (*B); lower is better.

        Args:
            x: Points, (*C, N, D).
            sample_weight: See `score`; their sum is then the number of points.
        """
        score = self.score(x, sample_weight=sample_weight, missing=missing)
        n = self._n_points(x, sample_weight)
        return (self.n_parameters * n.log() - 2 * n * score).to(score.dtype)

    def aic(self, x: Tensor, sample_weight: Tensor | None = None, missing: bool = False) -> Tensor:
        """Return the Akaike information criterion, (*B); see `bic`."""
        score = self.score(x, sample_weight=sample_weight, missing=missing)
        n = self._n_points(x, sample_weight)
        return (2 * self.n_parameters - 2 * n * score).to(score.dtype)

    def impute(self, x: Tensor, chunk_size: int | None = None) -> Tensor:
        """Return the points with E[x_missing | x_observed] in place of NaN, (*B, N, D).

        It is the mean of `condition` on the features that a point has, and the mean of the mixture
        if it has none. Other values stay as they are.

        Args:
            x: Points, (*C, N, D).
            chunk_size: Points worked on at a time.

        Raises:
            ValueError: If a value is infinite, or shapes do not agree.

        Examples:
            >>> import gmm, torch
            >>> halves, means = torch.tensor([0.5, 0.5]).log(), torch.tensor([[0.0, 5], [4, 9]])
            >>> mixture = gmm.Mixture(halves, means, torch.ones(2, 2))
            >>> mixture.impute(torch.tensor([[0.0, torch.nan], [2.0, torch.nan], [1.0, 3.0]]))
            tensor([[0.0000, 5.0013],
                    [2.0000, 7.0000],
                    [1.0000, 3.0000]])
        """
        own = self._with_precisions()
        points, parameters = own._opened(x, chunk_size, missing=True)
        n_shared = x.ndim - 2
        known = x.reshape(*x.shape[:-2], *[1] * (len(self.batch_shape) - n_shared), *x.shape[-2:])
        known = known.expand(*self.batch_shape, *x.shape[-2:]).to(points.device, points.dtype)
        if not points.has_missing:
            return known.clone()
        expected = expected_points(points, parameters).to(points.dtype)
        return torch.where(known.isnan(), self._shaped(expected, n_shared), known)

    def _n_points(self, x: Tensor, sample_weight: Tensor | None) -> Tensor:
        """Return the number of points, or the sum of their weights, beside *B, in float64."""
        if sample_weight is None:
            return torch.tensor(x.shape[-2], dtype=torch.float64, device=self.means.device)
        return self._weights(x, sample_weight).sum(-1)

    def _weights(self, x: Tensor, sample_weight: Tensor) -> Tensor:
        """Return the weights of points beside what `score_samples` returns, in float64."""
        weights = checked_weights(sample_weight, tuple(x.shape[:-1])).to(self.means.device)
        shared = len(self.batch_shape) - (x.ndim - 2)
        return weights.reshape((*x.shape[:-2], *[1] * shared, x.shape[-2]))

    def sample(
        self, n_samples: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw points from one mixture.

        Args:
            n_samples: How many points, at least 1.
            generator: Source of randomness, on the CPU.

        Returns:
            Points (n_samples, D) and the component of each (n_samples,), in random order.

        Raises:
            ValueError: If n_samples is below 1 or this is a batch of mixtures.
        """
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}")
        if self.batch_shape:
            raise ValueError(f"sample must be asked of one mixture, got {tuple(self.batch_shape)}")
        weights = self.log_weights.softmax(-1).double().cpu()
        labels = torch.multinomial(weights, n_samples, replacement=True, generator=generator)
        noise = torch.randn(
            n_samples, self.n_features, dtype=self.means.dtype, generator=generator
        ).to(self.means.device)
        labels = labels.to(self.means.device)
        return self.means[labels] + self.structure.colour(noise, self.covariances, labels), labels

    @property
    def mean(self) -> Tensor:
        """Return the mean of each whole mixture, E[x], (*B, D)."""
        return overall_mean(self._components).to(self.means.dtype)

    @property
    def covariance(self) -> Tensor:
        """Return the covariance of each whole mixture (Bishop 2006, eq. 9.50), (*B, D, D)."""
        return overall_covariance(self._components).to(self.means.dtype)

    def marginal(self, dims: Iterable[int]) -> "Mixture":
        """Return the mixtures of some features (Bishop 2006, eq. 2.98), of the same structure.

        Args:
            dims: The features, in the order that they shall have; -1 is the last.

        Raises:
            ValueError: If there are none, one is named twice, or one does not exist.
        """
        kept = positions(dims, self.n_features)
        covariances = self.structure.marginal(self.covariances, kept)
        return self._with([self.log_weights, self.means[..., kept], covariances])

    def condition(self, dims: Iterable[int], values: Tensor) -> "Mixture":
        """Return the mixtures of the other features where those of dims have the given values.

        The structure stays, but factor and ppca become full. How weights and means depend on the
        values, and covariances do not: Bishop 2006, eqs. 2.81-2.82, and Bayes' rule for weights.

        Args:
            dims: The features that are known; -1 is the last.
            values: Theirs, (*V, len(dims)).

        Returns:
            Mixtures of the other features, in their order, of batch shape (*B, *V): each mixture
            with each row of values.

        Raises:
            ValueError: If dims or values break their rules, or a covariance is not positive
                definite.

        Examples:
            >>> import gmm, torch
            >>> halves, means = torch.tensor([0.5, 0.5]).log(), torch.tensor([[0.0, 5], [4, 9]])
            >>> mixture = gmm.Mixture(halves, means, torch.ones(2, 2))
            >>> known = torch.tensor([[0.0], [2.0], [4.0]])
            >>> mixture.condition([0], known).mean.squeeze(-1)  # E[second | first]
            tensor([5.0013, 7.0000, 8.9987])
        """
        given = torch.as_tensor(values)
        own = self._with_precisions()
        parts = condition(own.tensors(), own.covariance_type, dims, given)
        return own._with(new.to(old.dtype) for new, old in zip(parts, own.tensors(), strict=True))

    def _with_precisions(self) -> "Mixture":
        """Return the same mixtures with matrices for covariances of factors and noise."""
        if self.structure.takes_precisions:
            return self
        matrices = self.structure.per_component(self.covariances, self.n_features)
        return Mixture(self.log_weights, self.means, matrices, "full")

    def entropy_bounds(self) -> Bounds:
        """Return what the entropy of each mixture is at least and at most, in nats, (*B).

        They hold for certain: see `gmm.mixtures.bounds` for their sources. Between all pairs of
        components they need (*B, K, K, D) numbers, or (*B, K, K, D, D) if full.

        Raises:
            ValueError: If a covariance is not positive definite.
        """
        lower, upper = entropy_bounds(self._components)
        return Bounds(lower.to(self.means.dtype), upper.to(self.means.dtype))

    def kl_bounds(self, other: "Mixture") -> Bounds:
        """Return what the Kullback-Leibler divergence D(self || other) is at least and at most.

        They are in nats and hold for certain: see `gmm.mixtures.bounds` for their sources.

        Args:
            other: Mixtures of as many features, of any structure; the batch shapes broadcast.

        Raises:
            ValueError: If the features or the batch shapes do not agree, or a covariance is not
                positive definite.
        """
        if other.n_features != self.n_features:
            raise ValueError(f"other must have {self.n_features} features, got {other.n_features}")
        try:
            torch.broadcast_shapes(self.batch_shape, other.batch_shape)
        except RuntimeError as error:
            raise ValueError(
                f"other must have a batch shape that broadcasts with {tuple(self.batch_shape)}, "
                f"got {tuple(other.batch_shape)}"
            ) from error
        lower, upper = kl_bounds(self._components, other._components)
        return Bounds(lower.to(self.means.dtype), upper.to(self.means.dtype))

    def to_distribution(self) -> MixtureSameFamily:
        """Return the mixtures as a distribution of PyTorch, batch shape *B, event shape (D).

        Its components are Independent(Normal) if diag or spherical, else MultivariateNormal. Its
        `log_prob` is `score_samples` without what keeps the digits of float32.

        Raises:
            ValueError: If a covariance is not positive definite.
        """
        return to_distribution(self.log_weights, self._components, self.means.dtype)

    @classmethod
    def from_distribution(cls, distribution: MixtureSameFamily) -> "Mixture":
        """Return the mixtures of a distribution of PyTorch.

        Args:
            distribution: A MixtureSameFamily of Independent(Normal), which becomes diag, or of
                MultivariateNormal, which becomes full.

        Raises:
            ValueError: If it is another distribution.
        """
        return cls(*from_distribution(distribution))

    def to_sklearn(self) -> Any:
        """Return one mixture as a fitted sklearn.mixture.GaussianMixture, in float64.

        It predicts, scores and samples; with `set_params(warm_start=True)` its `fit` goes on from
        here. As no EM has run, `n_iter_` is 0 and `lower_bound_` -inf.

        Raises:
            ValueError: If this is a batch of mixtures, or a covariance is not positive definite.
        """
        if self.batch_shape:
            raise ValueError(
                f"to_sklearn must be asked of one mixture, got {tuple(self.batch_shape)}"
            )
        used = self[()]
        used = used._with_precisions()
        return to_sklearn(*used.tensors(), used.covariance_type)

    @classmethod
    def from_sklearn(cls, model: Any) -> "Mixture":
        """Return the mixture of a fitted model of scikit-learn.

        Args:
            model: A GaussianMixture, or a BayesianGaussianMixture, of which the expected weights,
                means and covariances are taken: its own densities are corrected for what the data
                leave open, and differ.

        Raises:
            ValueError: If it is something else, or not fitted.
        """
        return cls(*from_sklearn(model))

    def save(self, path: str | Path) -> None:
        """Write the mixtures to a file that `load` reads without running code from it."""
        # A view that shows more numbers than it has is no part of a model file.
        names = ("log_weights", "means", "covariances")
        tensors = {n: getattr(self, n).cpu().contiguous() for n in names}
        write_model(path, {"covariance_type": self.covariance_type, **tensors})

    @classmethod
    def load(cls, path: str | Path) -> "Mixture":
        """Read mixtures from a file that `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ModelFileError: If it is a file that `save` did not write, or damaged.
        """
        return read_model(path, cls)

    @property
    def _components(self) -> Components:
        return components(*self.tensors(), self.covariance_type)

    def _evaluate(
        self,
        x: Tensor,
        what: int,
        chunk_size: int | None,
        dtype: torch.dtype | None = None,
        missing: bool = False,
    ) -> Tensor:
        """Return what is asked for of every point, (*B, N) or (*B, N, K)."""
        own = self._with_precisions() if missing else self
        points, parameters = own._opened(x, chunk_size, missing)
        return self._shaped(values_of(points, parameters, what, dtype or points.dtype), x.ndim - 2)

    def _opened(
        self, x: Tensor, chunk_size: int | None, missing: bool
    ) -> tuple[Points, Parameters]:
        """Return points (*C, N, D) as G data sets, and the M mixtures of each about its centre."""
        if x.shape[-1] != self.n_features:
            raise ValueError(f"x must have {self.n_features} features, got {x.shape[-1]}")
        C = x.shape[:-2]
        if self.batch_shape[: len(C)] != C:
            raise ValueError(
                f"x must have a batch shape that begins {tuple(self.batch_shape)}, got {tuple(C)}"
            )
        flat = self.flatten(len(C))
        sets = list(x.reshape(-1, *x.shape[-2:]))
        # Of weights that need not add up to one, as those of variational mixtures.
        weights = flat.log_weights.softmax(-1).unsqueeze(-1)
        center = (weights * flat.means).sum(-2).mean(1)
        points = Points(
            *(sets, self.means.device, None, chunk_size, center),
            *(flat.row_numbers, self.structure.on_diagonal),
            missing=missing,
        )
        return points, flat.relative_to(points.center.double())

    def _shaped(self, values: Tensor, n_shared: int) -> Tensor:
        """Return values of all points, (G, N, M, ...), as (*B, N, ...)."""
        batch = self.batch_shape
        out = values.unflatten(2, batch[n_shared:]) if batch[n_shared:] else values[:, :, 0]
        out = out.unflatten(0, batch[:n_shared]) if n_shared else out[0]
        return out.movedim(n_shared, len(batch))

    def flatten(self, n_shared: int) -> "Mixture":
        """Return the same mixtures with batch shape (G, M); G is the first n_shared dimensions."""
        batch = self.batch_shape
        return self.reshape((batch[:n_shared].numel(), batch[n_shared:].numel()))

    def reshape(self, batch_shape: tuple[int, ...]) -> "Mixture":
        """Return the same mixtures with another batch shape."""
        n = len(self.batch_shape)
        return self._with(t.reshape((*batch_shape, *t.shape[n:])) for t in self.tensors())

    def relative_to(self, center: Tensor) -> Parameters:
        """Return the parameters of (G, M) mixtures relative to the centres (G, D)."""
        means = self.means.double() - center[:, None, None]
        unused = self.log_weights == -torch.inf
        means = torch.where(unused.unsqueeze(-1), 0, means)
        log_weights, covariances = self.log_weights.double(), self.covariances.double()
        return Parameters(log_weights, means, covariances, self.covariance_type)

    def row_numbers(self, D: int) -> int:
        """Return the largest number of values that EM keeps in memory per point of D features."""
        M, K = self.batch_shape.numel(), self.means.shape[-2]
        return self.structure.row_numbers(M, K, D)
