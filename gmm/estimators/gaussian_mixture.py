"""A Gaussian mixture with scikit-learn's conventions; needs scikit-learn."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from gmm.estimators.fitted import FittedMixture
from gmm.estimators.streams import adopt, check_streams, stream_of
from gmm.estimators.verbose import Verbose
from gmm.fitting.em import fit_em
from gmm.fitting.em_state import Fit
from gmm.fitting.fit import fit_many
from gmm.fitting.rounding import ILL_DEFINED, check_range, settled
from gmm.fitting.stepwise import StepwiseEM
from gmm.maximising.prior import NormalInverseWishart
from gmm.points import open_points
from gmm.points.arrays import Rereadable, dtype_of, generator_of, given, like, points_of
from gmm.starting.starts import CONVERGED, MEANS, Start
from gmm.structures import N_FACTORS, STRUCTURES


class GaussianMixture(FittedMixture):
    """A Gaussian mixture fitted by EM.

    X is an array, and so are results; or a tensor, and results are tensors on its device; in
    `fit` it may be an iterable of batches (n, D) that can be read again and again.

    Args:
        n_components: K.
        covariance_type: full, tied, diag, spherical, factor or ppca.
        n_factors: Factors of every component if factor or ppca, at most D.
        tol: EM stops when the mean log-likelihood changes by less; with 0 never before max_iter.
        reg_covar: Added to the variances after every M-step, in squared units of X.
        min_variance: Floor under them after that; under the eigenvalues if tied or full. Both act
            on the noise if factor or ppca.
        max_iter: The largest number of EM steps.
        n_init: Restarts, run as one batch; ignored where warm_start continues.
        init_params: random, kmeans, k-means++ or random_from_data; see `gmm.Start`. k-means goes on
            until its centres stay, as scikit-learn's does.
        rand_const: See `gmm.Start`.
        weights_init: Weights to begin with, (K,).
        means_init: Means to begin with, (K, D).
        precisions_init: Inverse covariances to begin with, shaped as covariances_; none for factor
            and ppca.
        prior: With one, EM finds a maximum of the posterior; see `gmm.fit_em`.
        missing: Whether NaN in X stands for a value that is missing, in all methods; see
            `gmm.fit_em`. For all structures but factor and ppca.
        random_state: Seed or generator of the starts and of `sample`.
        warm_start: Whether a second `fit` continues from the first.
        learning_decay: How `partial_fit` weighs batches, as learning_offset; see `gmm.StepwiseEM`.
        learning_offset: See there.
        verbose: 1 prints every verbose_interval-th iteration, 2 its time and how much the mean
            log-likelihood of the best restart has changed, too.
        verbose_interval: See verbose.
        chunk_size: Points worked on at a time; chosen to bound memory by default.
        device: Where to work; where X is by default.
        dtype: float32 or float64; that of X by default.

    Attributes:
        weights_: (K,).
        means_: (K, D).
        covariances_: (K, D) if diag, (K,) if spherical, (D, D) if tied, (K, D, D) if full; if
            factor or ppca (K, D, n_factors + 1), loadings and variances of the noise.
        precisions_: Their inverses; None if factor or ppca.
        precisions_cholesky_: Roots of these: upper triangular U with U U^T = precision.
        converged_: Whether the best restart converged; False after `partial_fit`, as there may
            always be another batch.
        n_iter_: Its EM steps; after `partial_fit` the number of batches, of which an earlier `fit`
            is one.
        lower_bound_: Its last mean log-likelihood; after `partial_fit` that of the last batch
            before it was learned from.
        lower_bounds_: That of each step, or of each batch.
        log_likelihoods_: The same of all restarts, (n_init, steps), NaN after the end of each.

    Examples:
        >>> import gmm, numpy as np
        >>> X = np.array([[0.0, 0.0], [0.2, 0.1], [9.0, 9.0], [9.1, 9.2]])
        >>> model = gmm.GaussianMixture(2, reg_covar=1e-3, random_state=0).fit(X)
        >>> bool((model.predict(X[:2]) != model.predict(X[2:])).all())
        True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "n_factors": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "min_variance": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(MEANS))],
        "rand_const": [None, Interval(Real, 0, None, closed="neither")],
        "weights_init": [None, "array-like"],
        "means_init": [None, "array-like"],
        "precisions_init": [None, "array-like"],
        "prior": [None, NormalInverseWishart],
        "missing": ["boolean"],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "learning_decay": [Interval(Real, 0.5, 1, closed="right")],
        "learning_offset": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "chunk_size": [None, Interval(Integral, 1, None, closed="left")],
        "device": [None, str, torch.device],
        "dtype": [
            None,
            StrOptions({"float32", "float64"}),
            Options(torch.dtype, {torch.float32, torch.float64}),
        ],
    }

    _stream: StepwiseEM | None
    _n_points: float

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        n_factors: int = N_FACTORS,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        min_variance: float = 0.0,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        rand_const: float | None = None,
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        prior: NormalInverseWishart | None = None,
        missing: bool = False,
        random_state: Any = None,
        warm_start: bool = False,
        learning_decay: float = 0.7,
        learning_offset: float = 1.0,
        verbose: int = 0,
        verbose_interval: int = 10,
        chunk_size: int | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.n_factors = n_factors
        self.tol = tol
        self.reg_covar = reg_covar
        self.min_variance = min_variance
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.rand_const = rand_const
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.prior = prior
        self.missing = missing
        self.random_state = random_state
        self.warm_start = warm_start
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.chunk_size = chunk_size
        self.device = device
        self.dtype = dtype

    def impute(self, X: Any) -> Any:
        """Return the points with E[x_missing | x_observed] in place of NaN, (N, D).

        It needs no `missing`: what is asked of X says that NaN stands for missing values.
        """
        check_is_fitted(self)
        x = points_of(self, X, reset=False)
        mixture = self.mixture_ if self.device is not None else self.mixture_.to(x.device)
        return like(mixture.impute(x, chunk_size=self.chunk_size), X)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from another batch of points, by stepwise EM.

        The first batch is fitted as `fit` does it, and every later one moves the mixture by a step;
        see `gmm.StepwiseEM`. After a `fit`, its points count as the first batch. A pickle has the
        statistics that the next batch is averaged with, a file of `mixture_` has not.

        Args:
            X: Points (n, D), at least n_components (and two) in the first batch.
            y: Ignored.

        Raises:
            ValueError: If X or a parameter breaks its rule, covariance_type is factor or ppca,
                there is a prior, or a component lost its covariance: the mixture then stays as it
                was until other batches give it one.
        """
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        check_streams(self.covariance_type, self.prior)
        if not hasattr(self, "means_"):
            x = points_of(self, X, reset=True, min_samples=2)
            self._fit(x, None, X, continues=False, verbose=None)
            self._set_stream(stream_of(self, self.mixture_, self._n_points))
            return self
        x = points_of(self, X, reset=False)
        stream = self._stream or stream_of(self, self.mixture_, self._n_points)
        adopt(stream, self)
        log_likelihood = float(stream.step(x))
        if self._stream is None:
            self._set_stream(stream)
        self.n_iter_, self.lower_bound_ = stream.n_batches, log_likelihood
        self.lower_bounds_.append(log_likelihood)
        check_range(stream.mixture, stream.singular, lambda: open_points(x)[0])
        self._check_sound(stream.singular)
        self._set_mixture(stream.mixture, X)
        return self

    def _set_stream(self, stream: StepwiseEM) -> None:
        """Let what was fitted be the first batch of a stream."""
        self._stream = stream
        self.converged_, self.n_iter_, self.lower_bounds_ = False, 1, [self.lower_bound_]

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Return the Bayesian information criterion; lower is better.

        With weights, (N,), their sum is the number of points.
        """
        N = _n_points(X, sample_weight)
        score = self.score(X, sample_weight=sample_weight)
        return float(-2 * score * N + self._n_parameters() * np.log(N))

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Return the Akaike information criterion; see `bic`."""
        score = self.score(X, sample_weight=sample_weight)
        return float(-2 * score * _n_points(X, sample_weight) + 2 * self._n_parameters())

    def _n_parameters(self) -> int:
        """Return the number of free parameters; the method has scikit-learn's name for it."""
        return int(self.mixture_.n_parameters)

    def _fit(
        self,
        data: Tensor | Rereadable,
        weights: Tensor | None,
        example: Any,
        continues: bool,
        verbose: Verbose | None,
    ) -> None:
        begin = self._continue if continues else self._begin
        fit = begin(data, weights, verbose)
        self._store(fit, example)
        self._stream = None
        n = float(len(data) if isinstance(data, Tensor) else data.n_points)
        self._n_points = n if weights is None else float(weights.sum())

    def _begin(
        self, data: Tensor | Rereadable, weights: Tensor | None, verbose: Verbose | None
    ) -> Fit:
        start = Start(
            self.init_params,
            **CONVERGED,
            rand_const=self.rand_const,
            weights_init=given(self.weights_init),
            means_init=given(self.means_init),
            precisions_init=given(self.precisions_init),
        )
        fits = fit_many(
            data,
            int(self.n_components),
            n_init=self.n_init,
            start=start,
            covariance_type=self.covariance_type,
            n_factors=self.n_factors,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            min_variance=self.min_variance,
            chunk_size=self.chunk_size,
            generator=generator_of(self.random_state),
            device=self.device,
            dtype=dtype_of(self.dtype),
            callback=verbose.iteration if verbose else None,
            prior=self.prior,
            missing=self.missing,
            sample_weight=weights,
        )
        self.log_likelihoods_ = settled(fits.restarts.log_likelihood)
        return fits.best_fit

    def _continue(
        self, data: Tensor | Rereadable, weights: Tensor | None, verbose: Verbose | None
    ) -> Fit:
        fit = fit_em(
            data,
            self.mixture_,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            min_variance=self.min_variance,
            chunk_size=self.chunk_size,
            previous=torch.tensor(self.lower_bound_, dtype=torch.float64),
            callback=verbose.iteration if verbose else None,
            prior=self.prior,
            missing=self.missing,
            sample_weight=weights,
        )
        options = {"missing": self.missing, "sample_weight": weights}
        check_range(fit.mixture, fit.singular, lambda: open_points(data, **options)[0])
        self.log_likelihoods_ = settled(fit.log_likelihood.unsqueeze(0))
        return fit

    def _store(self, fit: Fit, example: Any) -> None:
        # Where EM was at its end anyway, the last sound parameters are its result.
        if self.max_iter == 0 or int(fit.n_iter) < self.max_iter:
            self._check_sound(fit.singular)
        self._set_mixture(fit.mixture, example)
        self.converged_ = bool(fit.converged)
        self._set_history(int(fit.n_iter), fit.log_likelihood)

    def _check_sound(self, singular: Tensor) -> None:
        if singular.any():
            k = int(singular.nonzero()[0])
            raise ValueError(
                f"covariance of component {k} is not positive definite; raise reg_covar "
                f"(now {self.reg_covar}) or min_variance (now {self.min_variance}): {ILL_DEFINED}"
            )


def _n_points(X: Any, sample_weight: Any) -> float:
    weights = given(sample_weight)
    return len(X) if weights is None else float(weights.double().sum())
