"""What the estimators of one mixture have in common; needs scikit-learn."""

import warnings
from abc import abstractmethod
from typing import Any, Self

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from gmm.estimators.verbose import Verbose
from gmm.fitting.rounding import precisions_of, settled
from gmm.mixtures.mixture import Mixture
from gmm.points import usable_device
from gmm.points.arrays import (
    Rereadable,
    batches_of,
    counted,
    generator_of,
    given,
    like,
    points_of,
)

NOT_CONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or "
    "increase max_iter, tol, or check for degenerate data."
)


class FittedMixture(DensityMixin, BaseEstimator):
    """How a mixture is fitted to points, and asked about others, with scikit-learn's conventions.

    A subclass says in `_fit` how, and has the parameters of `gmm.GaussianMixture` that are not
    about the start: covariance_type, max_iter, chunk_size, device, random_state, warm_start,
    verbose and verbose_interval.
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit n_init mixtures and keep the best.

        Args:
            X: Points (N, D), or batches of them.
            y: Ignored.
            sample_weight: How often each point counts, (N,), not negative; not for batches. See
                `gmm.fit_em`.

        Raises:
            ValueError: If X, a parameter or a weight breaks its rule, every restart lost a
                covariance, or the dtype cannot hold the squares of X.
        """
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        batches = batches_of(X)
        example = X
        if batches is not None:
            example = next(iter(X), np.empty((0, 0)))
            example = example[0] if isinstance(example, list | tuple) else example
            # Only the number of features is taken from the first batch.
            points_of(self, example, reset=True)
        weights = given(sample_weight)
        data: Tensor | Rereadable | None = batches
        if data is None:
            x = points_of(self, X, reset=True, min_samples=2)
            data, weights = counted(x, weights, min_samples=2)
        continues = self.warm_start and hasattr(self, "converged_")
        verbose = self._verbose(continues)
        self._fit(data, weights, example, continues, verbose)
        if verbose is not None and self.max_iter > 0:
            verbose.end(self.converged_, self.lower_bound_)
        if not self.converged_ and self.max_iter > 0:
            warnings.warn(NOT_CONVERGED, ConvergenceWarning, stacklevel=2)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, then return the component of every point, (N,); see `fit`."""
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def predict(self, X: Any) -> Any:
        """Return the most probable component of each point, (N,)."""
        return self._apply("predict", X)

    def predict_proba(self, X: Any) -> Any:
        """Return the responsibilities, (N, K)."""
        return self._apply("predict_proba", X)

    def score_samples(self, X: Any) -> Any:
        """Return the log-likelihood of each point, (N,)."""
        return self._apply("score_samples", X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean log-likelihood of a point, by weight if there are weights, (N,)."""
        if sample_weight is None:
            return float(self.score_samples(X).mean())
        check_is_fitted(self)
        x, weights = counted(points_of(self, X, reset=False), given(sample_weight))
        assert weights is not None
        scores = self._apply("score_samples", x).double()
        return float(scores @ weights / weights.sum())

    def sample(self, n_samples: int = 1) -> tuple[Any, Any]:
        """Draw points, (n_samples, D), and return them with their components, (n_samples,)."""
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(
                f"n_samples must be at least 1, got {n_samples}: Invalid value for 'n_samples'"
            )
        x, labels = self._density().sample(n_samples, generator_of(self.random_state))
        return like(x, self.means_), like(labels, self.means_)

    @property
    def mixture_(self) -> Mixture:
        """Return the fitted parameters as a `gmm.Mixture`, for example to save them."""
        return self._density()

    def _density(self) -> Mixture:
        check_is_fitted(self, "means_")
        return self._mixture(torch.as_tensor(self.weights_).double().log())

    def _mixture(self, log_weights: Tensor) -> Mixture:
        """Return a mixture of the fitted components with the given weights."""
        means, covariances = torch.as_tensor(self.means_), torch.as_tensor(self.covariances_)
        mixture = Mixture(log_weights, means, covariances, self.covariance_type)
        return mixture if self.device is None else mixture.to(usable_device(self.device))

    @abstractmethod
    def _fit(
        self,
        data: Tensor | Rereadable,
        weights: Tensor | None,
        example: Any,
        continues: bool,
        verbose: Verbose | None,
    ) -> None:
        """Fit to the weighted data, or go on with an earlier fit, and set all attributes.

        Tensors or arrays among them are such as the example.
        """

    def _apply(self, method: str, X: Any) -> Any:
        check_is_fitted(self)
        x = points_of(self, X, reset=False)
        mixture = self.mixture_ if self.device is not None else self.mixture_.to(x.device)
        options = {"missing": True} if self._takes_missing else {}
        return like(getattr(mixture, method)(x, chunk_size=self.chunk_size, **options), X)

    @property
    def _takes_missing(self) -> bool:
        """Return whether NaN stands for a missing value, of the estimators that have a setting."""
        return bool(getattr(self, "missing", False))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_missing
        return tags

    def _set_mixture(self, mixture: Mixture, example: Any) -> None:
        precisions, roots = precisions_of(mixture)
        self.weights_ = like(mixture.weights, example)
        self.means_ = like(mixture.means, example)
        self.covariances_ = like(mixture.covariances, example)
        self.precisions_ = None if precisions is None else like(precisions, example)
        self.precisions_cholesky_ = None if roots is None else like(roots, example)

    def _set_history(self, n_iter: int, bounds: Tensor) -> None:
        self.n_iter_ = n_iter
        self.lower_bounds_ = settled(bounds[:n_iter]).tolist()
        self.lower_bound_ = self.lower_bounds_[-1] if self.lower_bounds_ else -np.inf

    def _verbose(self, continues: bool) -> Verbose | None:
        if not self.verbose:
            return None
        options = (self.verbose, self.verbose_interval)
        return (
            Verbose(*options, 1, self.lower_bound_) if continues else Verbose(*options, self.n_init)
        )
