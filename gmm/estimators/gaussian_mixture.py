"""A Gaussian mixture with scikit-learn's conventions; needs scikit-learn."""

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions
from torch import Tensor

from gmm.estimators.fitted import FittedMixture
from gmm.estimators.verbose import Verbose
from gmm.fitting.em import fit_em
from gmm.fitting.em_state import Fit
from gmm.fitting.fit import fit_many
from gmm.fitting.prior import NormalInverseWishart
from gmm.fitting.rounding import ILL_DEFINED, check_range, settled
from gmm.fitting.starts import MEANS, Start
from gmm.points import open_points
from gmm.points.arrays import Rereadable, dtype_of, generator_of, given
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
        init_params: random, kmeans, k-means++ or random_from_data; see `gmm.Start`.
        rand_const: See `gmm.Start`.
        weights_init: Weights to begin with, (K,).
        means_init: Means to begin with, (K, D).
        precisions_init: Inverse covariances to begin with, shaped as covariances_; none for factor
            and ppca.
        prior: With one, EM finds a maximum of the posterior; see `gmm.fit_em`.
        random_state: Seed or generator of the starts and of `sample`.
        warm_start: Whether a second `fit` continues from the first.
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
        converged_: Whether the best restart converged.
        n_iter_: Its EM steps.
        lower_bound_: Its last mean log-likelihood.
        lower_bounds_: That of each step.
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
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
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
        random_state: Any = None,
        warm_start: bool = False,
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
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.chunk_size = chunk_size
        self.device = device
        self.dtype = dtype

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

    def _begin(
        self, data: Tensor | Rereadable, weights: Tensor | None, verbose: Verbose | None
    ) -> Fit:
        start = Start(
            self.init_params,
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
            sample_weight=weights,
        )
        check_range(
            *(fit.mixture, fit.singular),
            lambda: open_points(data, sample_weight=weights)[0],
        )
        self.log_likelihoods_ = settled(fit.log_likelihood.unsqueeze(0))
        return fit

    def _store(self, fit: Fit, example: Any) -> None:
        # Where EM was at its end anyway, the last sound parameters are its result.
        if fit.singular.any() and (self.max_iter == 0 or int(fit.n_iter) < self.max_iter):
            k = int(fit.singular.nonzero()[0])
            raise ValueError(
                f"covariance of component {k} is not positive definite; raise reg_covar "
                f"(now {self.reg_covar}) or min_variance (now {self.min_variance}): {ILL_DEFINED}"
            )
        self._set_mixture(fit.mixture, example)
        self.converged_ = bool(fit.converged)
        self._set_history(int(fit.n_iter), fit.log_likelihood)


def _n_points(X: Any, sample_weight: Any) -> float:
    weights = given(sample_weight)
    return len(X) if weights is None else float(weights.double().sum())
