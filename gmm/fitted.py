"""What the estimators of one mixture have in common; needs scikit-learn."""

import warnings
from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from gmm.mixture import Mixture
from gmm.points import usable_device
from gmm.points.arrays import Rereadable, batches_of, generator_of, like, points_of
from gmm.structures import structure, whitening

ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical "
    "covariance (for instance caused by singleton or collapsed samples). Try to decrease the "
    "number of components, increase reg_covar, or scale the input data."
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

    _bound_name: ClassVar[str] = "log-likelihood"

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
        self._fit(data, example, continues)
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
    def _fit(self, data: Tensor | Rereadable, example: Any, continues: bool) -> None:
        """Fit to the data, or go on with an earlier fit, and set all attributes.

        Tensors or arrays among them are such as the example.
        """

    def _apply(self, method: str, X: Any) -> Any:
        check_is_fitted(self)
        x = points_of(self, X, reset=False)
        mixture = self.mixture_ if self.device is not None else self.mixture_.to(x.device)
        return like(getattr(mixture, method)(x, chunk_size=self.chunk_size), X)

    def _set_mixture(self, mixture: Mixture, example: Any) -> None:
        kind = structure(self.covariance_type)
        precisions = kind.inverse(mixture.covariances)
        roots = precisions.sqrt() if kind.on_diagonal else whitening(mixture.covariances)[0]
        self.weights_ = like(mixture.weights, example)
        self.means_ = like(mixture.means, example)
        self.covariances_ = like(mixture.covariances, example)
        self.precisions_ = like(precisions, example)
        self.precisions_cholesky_ = like(roots, example)

    def _set_history(self, n_iter: int, bounds: Tensor) -> None:
        self.n_iter_ = n_iter
        self.lower_bounds_ = bounds[:n_iter].tolist()
        self.lower_bound_ = self.lower_bounds_[-1] if self.lower_bounds_ else -np.inf

    def _report(self, iteration: int, bounds: Tensor) -> None:
        if iteration % self.verbose_interval == 0:
            values = bounds.flatten().tolist()
            shown = ", ".join(f"{v:.5f}" for v in values) if self.verbose > 1 else f"{max(values)}"
            print(f"  Iteration {iteration}\t {self._bound_name} {shown}")
