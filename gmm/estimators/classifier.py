"""A Gaussian mixture per class and Bayes' rule, with scikit-learn's conventions."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor

from gmm.estimators.bayes_rule import least_loss_temperature, log_priors
from gmm.estimators.streams import (
    adopt,
    check_known,
    check_streams,
    points_of_classes,
    side_by_side,
    stream_of,
)
from gmm.fitting.fit import ManyFits, fit_many
from gmm.fitting.stepwise import StepwiseEM
from gmm.maximising.prior import NormalInverseWishart
from gmm.mixtures.mixture import Mixture
from gmm.points import checked_weights
from gmm.points.arrays import counted, dtype_of, generator_of, given, like, points_of
from gmm.points.blocks import sum_of_finite
from gmm.starting.starts import Start
from gmm.structures import N_FACTORS


def _has_streams(classifier: "MixtureClassifier") -> bool:
    if classifier.share_covariance:
        raise AttributeError("share_covariance must be False for partial_fit, got True")
    return True


class MixtureClassifier(ClassifierMixin, BaseEstimator):
    """One Gaussian mixture per class, all fitted as one batch.

    p(c | x) is in proportion to p(c) p(x | c). With one component these are discriminant analyses:
    quadratic with `full` covariances, linear with `tied` ones that the classes share; with more,
    the latter is mixture discriminant analysis (Hastie & Tibshirani 1996).

    Args:
        n_components: K of every class, or a list of K to fit side by side: then `errors` tells
            them apart and `at` picks one for `predict`.
        classes: The classes to tell apart; points of others are left out of `fit` and
            `partial_fit`. All by default.
        covariance_type: See `gmm.GaussianMixture`, as for all that follow but these. With
            `missing`, a point without any value has the classes' shares of the training points.
        share_covariance: Whether all components of all classes have one covariance, a matrix if
            tied, variances if diag, a variance if spherical. Restarts are then of all classes
            together, and log-likelihoods in `fits_` are means over the points of all.
        priors: p(c): None for the classes' shares of the training points, "uniform" for the same
            of every class, or numbers in the order of `classes_`, (C,), that sum to 1.
        temperature: T above 0 in `predict_proba`, softmax(log p(c | x) / T), until `calibrate`
            finds a better one; `predict` does not depend on it.

    Attributes:
        classes_: The classes, sorted, or in the order asked for, (C,).
        class_count_: Their training points, or the sum of their weights, (C,).
        class_log_prior_: log p(c), (C,).
        temperature_: What `predict_proba` divides by, see temperature.
        mixtures_: Mixtures of batch shape (C,), or (C, number of K).
        fits_: The outcome of `fit` in full, of the same batch shape.
        n_iter_: The EM steps of the mixture that took most; after `partial_fit` the batches of the
            class that was in most.

    Examples:
        >>> import gmm, numpy as np
        >>> X = np.array([[0.0], [0.2], [9.0], [9.2]])
        >>> gmm.MixtureClassifier(1).fit(X, ["low", "low", "high", "high"]).predict([[1.0], [8.0]])
        array(['low', 'high'], dtype='<U4')
    """

    _streams: list[StepwiseEM | None] | None

    def __init__(
        self,
        n_components: int | Sequence[int] = 1,
        *,
        classes: Any = None,
        covariance_type: str = "diag",
        n_factors: int = N_FACTORS,
        share_covariance: bool = False,
        priors: Any = None,
        temperature: float = 1.0,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        min_variance: float = 0.0,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        rand_const: float | None = None,
        prior: NormalInverseWishart | None = None,
        learning_decay: float = 0.7,
        learning_offset: float = 1.0,
        missing: bool = False,
        random_state: Any = None,
        chunk_size: int | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> None:
        self.n_components = n_components
        self.classes = classes
        self.covariance_type = covariance_type
        self.n_factors = n_factors
        self.share_covariance = share_covariance
        self.priors = priors
        self.temperature = temperature
        self.tol = tol
        self.reg_covar = reg_covar
        self.min_variance = min_variance
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.rand_const = rand_const
        self.prior = prior
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.missing = missing
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
        self._check_temperature()
        members = [torch.from_numpy(np.flatnonzero(labels == c)) for c in self.classes_]
        names = self.classes_.tolist()
        self._check_sizes(names, members)
        of_members = None if weights is None else [weights[m] for m in members]
        self._count(np.zeros(len(members)), of_members or members, of_members is not None)
        self.fits_ = self._fit([x[m.to(x.device)] for m in members], of_members)
        self._check_sound(names, self.fits_.singular)
        self.mixtures_ = self.fits_.mixture
        self.n_iter_ = int(self.fits_.n_iter.max())
        self._streams = None
        self.temperature_ = float(self.temperature)
        return self

    @available_if(_has_streams)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Learn from another batch of points, by stepwise EM for each class.

        The first points of a class are fitted as `fit` does it, and later ones move its mixtures by
        a step; see `gmm.StepwiseEM`. After a `fit`, or `at`, what was fitted counts as the first
        batch. Of a class that no point was seen of, p(c) is 0.

        Args:
            X: Points, (n, D).
            y: Their classes, (n,).
            classes: All classes that there will be; needed in the first call, unless the classifier
                was made with classes.

        Raises:
            ValueError: If X, y or a parameter breaks its rule, the first points of a class are
                fewer than its components, covariance_type is factor or ppca, there is a prior, or a
                mixture lost a covariance.
        """
        check_streams(self.covariance_type, self.prior)
        self._check_temperature()
        is_first = not hasattr(self, "mixtures_")
        x = points_of(self, X, reset=is_first)
        sum_of_finite(x)  # before any mixture learns from it
        labels = self._labels(y, len(x))
        self.classes_ = self._classes_of_stream(classes, is_first)
        if is_first:
            self.temperature_ = float(self.temperature)
        if self.classes is None:
            check_known(labels, self.classes_)
        members = points_of_classes(x, labels, self.classes_)
        if is_first and not any(map(len, members)):
            raise ValueError(f"y must have one of the classes {self.classes_.tolist()}, got none")
        counts = np.zeros(len(members)) if is_first else self.class_count_
        self._streams = streams = self._stepped(self._streams_so_far(is_first), members)
        self._count(counts, members)
        self.mixtures_ = side_by_side(streams)
        self.n_iter_ = max(stream.n_batches for stream in streams if stream is not None)
        for name, stream in zip(self.classes_.tolist(), streams, strict=True):
            if stream is not None:
                self._check_sound([name], stream.singular.unsqueeze(0))
        return self

    def calibrate(self, X: Any, y: Any) -> Self:
        """Set the temperature for which p(c | x) has the least log loss on these points.

        Args:
            X: Points that `fit` has not seen, (N, D): on others the classifier is too sure.
            y: Their classes, (N,); points of classes that were left out of `fit` are, too.

        Raises:
            ValueError: If X or y breaks its rule, or no point has one of the classes.
        """
        x, labels = self._known(X, y)
        if not len(x):
            raise ValueError(f"y must have some of the classes {self.classes_.tolist()}, got none")
        index = torch.from_numpy((labels[:, None] == self.classes_).argmax(-1))
        log_posterior = self._log_posterior(x)
        self.temperature_ = least_loss_temperature(log_posterior, index.to(log_posterior.device))
        return self

    def predict(self, X: Any) -> Any:
        """Return the most probable class of every point, (N,)."""
        index = self._log_posterior(X).argmax(-1)
        if isinstance(X, Tensor) and self.classes_.dtype.kind in "iufb":
            return torch.as_tensor(self.classes_).to(X.device)[index.to(X.device)]
        return self.classes_[index.cpu().numpy()]

    def predict_log_proba(self, X: Any) -> Any:
        """Return log p(c | x) at the temperature, (N, C), float64."""
        return like(self._calibrated(X), X)

    def predict_proba(self, X: Any) -> Any:
        """Return p(c | x) at the temperature, (N, C), float64."""
        return like(self._calibrated(X).exp(), X)

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
        x, labels = self._known(X, y)
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
        one._streams = None
        if self._is_list():
            one.n_components = n_components
            one.mixtures_ = self.mixtures_[:, known.index(n_components)]
        return one

    def _calibrated(self, X: Any) -> Tensor:
        """Return log p(c | x) at the temperature, (N, C)."""
        log_posterior = self._log_posterior(X)
        return (log_posterior / self.temperature_).log_softmax(-1)

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
        evidence = mixtures.score_samples(
            x, chunk_size=self.chunk_size, dtype=torch.float64, missing=self.missing
        ).mT
        prior = torch.as_tensor(self.class_log_prior_).to(evidence.device)
        return (evidence + prior).log_softmax(-1)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing
        return tags

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
            share_covariance=self.share_covariance,
            missing=self.missing,
            sample_weight=weights,
        )

    def _is_list(self) -> bool:
        return np.ndim(self.n_components) > 0

    def _sizes(self) -> list[int]:
        return [int(k) for k in np.atleast_1d(self.n_components)]

    def _known(self, X: Any, y: Any) -> tuple[Tensor, Any]:
        """Return the points of the known classes and their classes."""
        check_is_fitted(self)
        x = points_of(self, X, reset=False)
        labels = self._labels(y, len(x))
        known = np.isin(labels, self.classes_)
        return x[torch.from_numpy(known).to(x.device)], labels[known]

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

    def _check_sizes(self, names: list[Any], members: list[Tensor]) -> None:
        largest = max(self._sizes())
        for name, count in zip(names, map(len, members), strict=True):
            if count == 0:
                raise ValueError(f"class {name!r} must have training points, got none")
            if count < largest:
                raise ValueError(
                    "n_components must be at most the number of points of class "
                    f"{name!r} ({count}), got {largest}"
                )

    def _check_temperature(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")

    def _check_sound(self, names: list[Any], singular: Tensor) -> None:
        broken = singular.nonzero().tolist()
        if broken and self.share_covariance:
            raise ValueError(
                "the covariance that the classes share must be positive definite, got one that is "
                f"not; raise reg_covar (now {self.reg_covar})"
            )
        if broken:
            c, k = names[broken[0][0]], broken[0][-1]
            raise ValueError(
                f"covariance of component {k} in the mixture of class {c!r} is not positive "
                f"definite; raise reg_covar (now {self.reg_covar})"
            )

    def _count(self, before: Any, members: list[Tensor], is_weighted: bool = False) -> None:
        """Count the points of every class, or their weights, and what share of all they are."""
        counts = [float(m.sum() if is_weighted else len(m)) for m in members]
        self.class_count_ = before + np.array(counts)
        with np.errstate(divide="ignore"):  # of a class without points yet
            self.class_log_prior_ = log_priors(self.priors, self.class_count_)

    def _classes_of_stream(self, classes: Any, is_first: bool) -> Any:
        if is_first:
            if self.classes is not None:
                return np.asarray(self.classes)
            if classes is None:
                raise ValueError("classes must be given in the first call of partial_fit, got None")
            return np.unique(classes)
        known = self.classes_
        if classes is not None and not np.array_equal(np.unique(classes), np.unique(known)):
            got = np.unique(classes).tolist()
            raise ValueError(f"classes must be those of before ({known.tolist()}), got {got}")
        return known

    def _streams_so_far(self, is_first: bool) -> list[StepwiseEM | None]:
        """Return a stream for every class that points were seen of."""
        if is_first:
            return [None] * len(self.classes_)
        if self._streams is not None:
            return self._streams
        counts = self.class_count_.tolist()
        return [stream_of(self, self.mixtures_[c], n) if n else None for c, n in enumerate(counts)]

    def _stepped(
        self, streams: list[StepwiseEM | None], members: list[Tensor]
    ) -> list[StepwiseEM | None]:
        """Return the streams after a step with the points of each class; begin those there are not.

        One after the other: each class has its own number of batches, and may miss in one.
        """
        new = [c for c, points in enumerate(members) if streams[c] is None and len(points)]
        begun: list[StepwiseEM] = []
        if new:
            names, first = self.classes_[new].tolist(), [members[c] for c in new]
            self._check_sizes(names, first)
            fits = self._fit(first, None)
            self._check_sound(names, fits.singular)
            begun = [stream_of(self, fits.mixture[g], len(own)) for g, own in enumerate(first)]
        for stream, points in zip(streams, members, strict=True):
            if stream is not None and len(points):
                adopt(stream, self)
                stream.step(points)
        made = dict(zip(new, begun, strict=True))
        return [made.get(c, stream) for c, stream in enumerate(streams)]
