"""A Gaussian mixture per class and Bayes' rule, with scikit-learn's conventions."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor

from gmm.fitting.fit import ManyFits, fit_many
from gmm.fitting.prior import NormalInverseWishart
from gmm.fitting.starts import Start
from gmm.mixtures.mixture import Mixture
from gmm.points import checked_weights
from gmm.points.arrays import counted, dtype_of, generator_of, given, like, points_of
from gmm.structures import N_FACTORS


class MixtureClassifier(ClassifierMixin, BaseEstimator):
    """One Gaussian mixture per class, all fitted as one batch.

    p(c | x) is in proportion to p(c) p(x | c), with p(c) from the training counts, or weights.

    Args:
        n_components: K of every class, or a list of K to fit side by side: then `errors` tells
            them apart and `at` picks one for `predict`.
        classes: The classes to tell apart; points of others are left out of `fit`. All by
            default.
        covariance_type: See `gmm.GaussianMixture`, as for all that follow.

    Attributes:
        classes_: The classes, sorted, or in the order asked for, (C,).
        class_log_prior_: Logarithm of their share of the training points, by weight, (C,).
        mixtures_: Mixtures of batch shape (C,), or (C, number of K).
        fits_: The outcome in full, of the same batch shape.
        n_iter_: The EM steps of the mixture that took most.

    Examples:
        >>> import gmm, numpy as np
        >>> X = np.array([[0.0], [0.2], [9.0], [9.2]])
        >>> gmm.MixtureClassifier(1).fit(X, ["low", "low", "high", "high"]).predict([[1.0], [8.0]])
        array(['low', 'high'], dtype='<U4')
    """

    def __init__(
        self,
        n_components: int | Sequence[int] = 1,
        *,
        classes: Any = None,
        covariance_type: str = "diag",
        n_factors: int = N_FACTORS,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        min_variance: float = 0.0,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        rand_const: float | None = None,
        prior: NormalInverseWishart | None = None,
        random_state: Any = None,
        chunk_size: int | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> None:
        self.n_components = n_components
        self.classes = classes
        self.covariance_type = covariance_type
        self.n_factors = n_factors
        self.tol = tol
        self.reg_covar = reg_covar
        self.min_variance = min_variance
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.rand_const = rand_const
        self.prior = prior
        self.random_state = random_state
        self.chunk_size = chunk_size
        self.device = device
        self.dtype = dtype

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit a mixture of every K to the points of every class.

        Args:
            X: Points, (N, D).
            y: Their classes, (N,).
            sample_weight: How often each counts, (N,), not negative; see `gmm.fit_em`.

        Raises:
            ValueError: If X, a parameter or a weight breaks its rule, a class has no points or
                fewer than components, or a mixture lost a covariance in every restart.
        """
        x = points_of(self, X, reset=True, min_samples=2)
        labels = self._labels(y, len(x))
        weights = given(sample_weight)
        if weights is not None:
            rows, weights = counted(torch.arange(len(x)), weights, min_samples=2)
            x, labels = x[rows.to(x.device)], labels[rows.numpy()]
        self.classes_ = np.unique(labels) if self.classes is None else np.asarray(self.classes)
        members = [torch.from_numpy(np.flatnonzero(labels == c)) for c in self.classes_]
        self._check_sizes([len(m) for m in members])
        of_members = None if weights is None else [weights[m] for m in members]
        counts = [float(len(m)) for m in members]
        if of_members is not None:
            counts = [float(w.sum()) for w in of_members]
        shares = torch.tensor(counts, dtype=torch.float64)
        self.class_log_prior_ = (shares / shares.sum()).log().numpy()
        self.fits_ = self._fit([x[m.to(x.device)] for m in members], of_members)
        self._check_sound(self.fits_)
        self.mixtures_ = self.fits_.mixture
        self.n_iter_ = int(self.fits_.n_iter.max())
        return self

    def predict(self, X: Any) -> Any:
        """Return the most probable class of every point, (N,)."""
        index = self._log_posterior(X).argmax(-1)
        if isinstance(X, Tensor) and self.classes_.dtype.kind in "iufb":
            return torch.as_tensor(self.classes_).to(X.device)[index.to(X.device)]
        return self.classes_[index.cpu().numpy()]

    def predict_log_proba(self, X: Any) -> Any:
        """Return log p(c | x), (N, C), float64."""
        return like(self._log_posterior(X), X)

    def predict_proba(self, X: Any) -> Any:
        """Return p(c | x), (N, C), float64."""
        return like(self._log_posterior(X).exp(), X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of points whose class is predicted, by weight if there are weights.

        Raises:
            ValueError: If the weights, (N,), break a rule, see `fit`.
        """
        weights = given(sample_weight)
        if weights is not None:
            weights = like(checked_weights(weights, (len(X),)), X)
        return float(super().score(X, y, sample_weight=weights))

    def errors(self, X: Any, y: Any) -> dict[int, float]:
        """Return the error rate for every K on the points of the known classes."""
        x = points_of(self, X, reset=False)
        labels = self._labels(y, len(x))
        known = np.isin(labels, self.classes_)
        x, labels = x[torch.from_numpy(known).to(x.device)], labels[known]
        wrong = {}
        for k in self._sizes():
            index = self.at(k)._log_posterior(x).argmax(-1).cpu().numpy()
            wrong[k] = float(np.mean(self.classes_[index] != labels))
        return wrong

    def at(self, n_components: int) -> Self:
        """Return a classifier with only the mixtures of one K that was fitted.

        Raises:
            ValueError: If that K was not fitted.
        """
        check_is_fitted(self)
        known = self._sizes()
        if n_components not in known:
            raise ValueError(f"n_components must be one of {known}, got {n_components}")
        one = copy.copy(self)
        if self._is_list():
            one.n_components = n_components
            one.mixtures_ = self.mixtures_[:, known.index(n_components)]
        return one

    def _log_posterior(self, X: Any) -> Tensor:
        """Return log p(c | x), (N, C)."""
        check_is_fitted(self)
        if self._is_list():
            raise ValueError(
                f"predict must be asked of one n_components, got {self._sizes()}; choose one "
                "with at()"
            )
        x = points_of(self, X, reset=False)
        mixtures: Mixture = self.mixtures_
        if self.device is None:
            mixtures = mixtures.to(x.device)
        evidence = mixtures.score_samples(x, chunk_size=self.chunk_size, dtype=torch.float64).mT
        prior = torch.as_tensor(self.class_log_prior_).to(evidence.device)
        return (evidence + prior).log_softmax(-1)

    def _fit(self, per_class: list[Tensor], weights: list[Tensor] | None) -> ManyFits:
        sizes = self._sizes()
        return fit_many(
            per_class,
            sizes if self._is_list() else sizes[0],
            n_init=self.n_init,
            start=Start(self.init_params, rand_const=self.rand_const),
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
            prior=self.prior,
            sample_weight=weights,
        )

    def _is_list(self) -> bool:
        return np.ndim(self.n_components) > 0

    def _sizes(self) -> list[int]:
        return [int(k) for k in np.atleast_1d(self.n_components)]

    def _labels(self, y: Any, n: int) -> Any:
        y = y.cpu().numpy() if isinstance(y, Tensor) else y
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        labels = column_or_1d(y, warn=True)
        if labels.dtype.kind == "f":
            assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        if len(labels) != n:
            raise ValueError(f"y must have {n} classes, one per point, got {len(labels)}")
        return labels

    def _check_sizes(self, counts: list[int]) -> None:
        largest = max(self._sizes())
        for name, count in zip(self.classes_.tolist(), counts, strict=True):
            if count == 0:
                raise ValueError(f"class {name!r} must have training points, got none")
            if count < largest:
                raise ValueError(
                    "n_components must be at most the number of points of class "
                    f"{name!r} ({count}), got {largest}"
                )

    def _check_sound(self, fits: ManyFits) -> None:
        broken = fits.singular.nonzero().tolist()
        if broken:
            c, k = self.classes_.tolist()[broken[0][0]], broken[0][-1]
            raise ValueError(
                f"covariance of component {k} in the mixture of class {c!r} is not positive "
                f"definite; raise reg_covar (now {self.reg_covar})"
            )
