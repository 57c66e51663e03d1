"""A Gaussian mixture with scikit-learn's conventions; needs scikit-learn."""

import warnings
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from gmm.em import fit_em
from gmm.em_state import Fit
from gmm.fit import fit_many
from gmm.mixture import Mixture
from gmm.points import usable_device
from gmm.points.arrays import Rereadable, batches_of, dtype_of, generator_of, given, like, points_of
from gmm.starts import Start
from gmm.structures import N_FACTORS, whitening

ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical "
    "covariance (for instance caused by singleton or collapsed samples). Try to decrease the "
    "number of components, increase reg_covar, or scale the input data."
)
NOT_CONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or "
    "increase max_iter, tol, or check for degenerate data."
)


class GaussianMixture(DensityMixin, BaseEstimator):
    """A Gaussian mixture fitted by EM.

    X is an array, and so are results; or a tensor, and results are tensors on its device; in
    `fit` it may be an iterable of batches (n, D) that can be read again and again.

    Args:
        n_components: K.
        covariance_type: diag, spherical, tied, full, factor or ppca.
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
        random_state: Seed or generator of the starts and of `sample`.
        warm_start: Whether a second `fit` continues from the first.
        verbose: 1 prints every verbose_interval-th iteration, 2 its log-likelihoods too.
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

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "diag",
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
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.chunk_size = chunk_size
        self.device = device
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit n_init mixtures and keep the best.

        Args:
            X: Points (N, D), or batches of them.
            y: Ignored.

        Raises:
            ValueError: If X or a parameter breaks its rule, or every restart lost a covariance.
        """
        batches = batches_of(X)
        example = X
        if batches is not None:
            example = next(iter(X), np.empty((0, 0)))
            example = example[0] if isinstance(example, list | tuple) else example
            # Only the number of features is taken from the first batch.
            points_of(self, example, reset=True)
        data = points_of(self, X, reset=True, min_samples=2) if batches is None else batches
        continues = self.warm_start and hasattr(self, "converged_")
        fit = self._continue(data) if continues else self._begin(data)
        self._store(fit, example)
        if not self.converged_ and self.max_iter > 0:
            warnings.warn(NOT_CONVERGED, ConvergenceWarning, stacklevel=2)
        return self

    def fit_predict(self, X: Any, y: Any = None) -> Any:
        """Fit, then return the component of every point, (N,)."""
        return self.fit(X).predict(X)

    def predict(self, X: Any) -> Any:
        """Return the most probable component of each point, (N,)."""
        return self._apply("predict", X)

    def predict_proba(self, X: Any) -> Any:
        """Return the responsibilities, (N, K)."""
        return self._apply("predict_proba", X)

    def score_samples(self, X: Any) -> Any:
        """Return the log-likelihood of each point, (N,)."""
        return self._apply("score_samples", X)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean log-likelihood of a point."""
        return float(self.score_samples(X).mean())

    def bic(self, X: Any) -> float:
        """Return the Bayesian information criterion; lower is better."""
        N = X.shape[0]
        return float(-2 * self.score(X) * N + self._n_parameters() * np.log(N))

    def aic(self, X: Any) -> float:
        """Return the Akaike information criterion; lower is better."""
        return float(-2 * self.score(X) * X.shape[0] + 2 * self._n_parameters())

    def sample(self, n_samples: int = 1) -> tuple[Any, Any]:
        """Draw points, (n_samples, D), and return them with their components, (n_samples,)."""
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(
                f"n_samples must be at least 1, got {n_samples}: Invalid value for 'n_samples'"
            )
        x, labels = self.mixture_.sample(n_samples, generator_of(self.random_state))
        return like(x, self.means_), like(labels, self.means_)

    @property
    def mixture_(self) -> Mixture:
        """Return the fitted parameters as a `gmm.Mixture`, for example to save them."""
        check_is_fitted(self, "means_")
        weights, means, covariances = (
            torch.as_tensor(v) for v in (self.weights_, self.means_, self.covariances_)
        )
        mixture = Mixture(weights.double().log(), means, covariances, self.covariance_type)
        return mixture if self.device is None else mixture.to(usable_device(self.device))

    def _n_parameters(self) -> int:
        """Return the number of free parameters; the method has scikit-learn's name for it."""
        return int(self.mixture_.n_parameters)

    def _apply(self, method: str, X: Any) -> Any:
        check_is_fitted(self)
        x = points_of(self, X, reset=False)
        mixture = self.mixture_ if self.device is not None else self.mixture_.to(x.device)
        return like(getattr(mixture, method)(x, chunk_size=self.chunk_size), X)

    def _begin(self, data: Tensor | Rereadable) -> Fit:
        start = Start(
            self.init_params,
            rand_const=self.rand_const,
            weights_init=given(self.weights_init),
            means_init=given(self.means_init),
            precisions_init=given(self.precisions_init),
        )
        fits = fit_many(
            data,
            self.n_components,
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
            callback=self._report if self.verbose else None,
        )
        self.log_likelihoods_ = fits.restarts.log_likelihood.cpu().numpy()
        return fits.best_fit

    def _continue(self, data: Tensor | Rereadable) -> Fit:
        fit = fit_em(
            data,
            self.mixture_,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            min_variance=self.min_variance,
            chunk_size=self.chunk_size,
            previous=torch.tensor(self.lower_bound_, dtype=torch.float64),
            callback=self._report if self.verbose else None,
        )
        self.log_likelihoods_ = fit.log_likelihood.unsqueeze(0).cpu().numpy()
        return fit

    def _store(self, fit: Fit, example: Any) -> None:
        # Where EM was at its end anyway, the last sound parameters are its result.
        if fit.singular.any() and (self.max_iter == 0 or int(fit.n_iter) < self.max_iter):
            k = int(fit.singular.nonzero()[0])
            raise ValueError(
                f"covariance of component {k} is not positive definite; raise reg_covar "
                f"(now {self.reg_covar}) or min_variance (now {self.min_variance}): {ILL_DEFINED}"
            )
        mixture = fit.mixture
        precisions, roots = _precisions(mixture)
        self.weights_ = like(mixture.weights, example)
        self.means_ = like(mixture.means, example)
        self.covariances_ = like(mixture.covariances, example)
        self.precisions_ = None if precisions is None else like(precisions, example)
        self.precisions_cholesky_ = None if roots is None else like(roots, example)
        self.converged_ = bool(fit.converged)
        self.n_iter_ = int(fit.n_iter)
        history = fit.log_likelihood[: self.n_iter_]
        self.lower_bounds_ = history.tolist()
        self.lower_bound_ = self.lower_bounds_[-1] if self.lower_bounds_ else -np.inf

    def _report(self, iteration: int, log_likelihood: Tensor) -> None:
        if iteration % self.verbose_interval == 0:
            values = log_likelihood.flatten().tolist()
            shown = ", ".join(f"{v:.5f}" for v in values) if self.verbose > 1 else f"{max(values)}"
            print(f"  Iteration {iteration}\t log-likelihood {shown}")


def _precisions(mixture: Mixture) -> tuple[Tensor | None, Tensor | None]:
    """Return the inverse covariances and their roots, or None where they would be large."""
    kind, covariances = mixture.structure, mixture.covariances
    if not kind.takes_precisions:
        return None, None
    precisions = kind.inverse(covariances)
    return precisions, precisions.sqrt() if kind.on_diagonal else whitening(covariances)[0]
