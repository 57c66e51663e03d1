"""Variational inference of a Gaussian mixture, with scikit-learn's conventions; needs it."""

from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from gmm.estimators.fitted import FittedMixture
from gmm.estimators.verbose import Verbose
from gmm.fitting.rounding import ILL_DEFINED
from gmm.maximising.prior import covariance_of, mean_of
from gmm.mixtures.mixture import Mixture
from gmm.points import Points, open_points
from gmm.points.arrays import Rereadable, dtype_of, generator_of, like
from gmm.starting.starts import CONVERGED, MEANS, Start
from gmm.structures import linear
from gmm.variational.inference import Inference, begin, infer
from gmm.variational.posteriors import DISTRIBUTION, PROCESS, Hyperparameters, Posterior


class BayesianGaussianMixture(FittedMixture):
    """A Gaussian mixture whose parameters have a posterior, by variational inference.

    Components that the points do not need end with a weight near zero. The parameters have a
    Gauss-Wishart prior, and the weights a Dirichlet prior or a truncated Dirichlet process; see
    Bishop (2006), section 10.2, and Blei & Jordan (2006). Lower bound and posterior are defined as
    scikit-learn defines them. X is what `gmm.GaussianMixture` takes.

    Args:
        n_components: K, the largest number of components.
        covariance_type: diag, spherical, tied or full.
        tol: Inference stops when the lower bound of all points changes by less; with 0 never
            before max_iter.
        reg_covar: Added to the variances of the points before every update, in squared units of X.
        max_iter: The largest number of iterations.
        n_init: Restarts, run as one batch; ignored where warm_start continues.
        init_params: Means to begin at, see `gmm.Start`: the first posterior is that given the
            points nearest to each.
        weight_concentration_prior_type: dirichlet_process or dirichlet_distribution.
        weight_concentration_prior: How many points every component (what is left of the weight,
            if a process) has before any is seen, above 0; 1 / K by default.
        mean_precision_prior: How many points mean_prior is worth, above 0; 1 by default.
        mean_prior: Where means are expected, (D,); the mean of X by default.
        degrees_of_freedom_prior: How many points covariance_prior is worth, above D - 1; D by
            default.
        covariance_prior: The inverse of the Wishart distribution's scale, in squared units of X:
            (D,) if diag, a number if spherical, (D, D) if tied or full; the covariance of X by
            default.
        random_state: Seed or generator of the starts and of `sample`.
        warm_start: Whether a second `fit` continues from the first.
        verbose: 1 prints every verbose_interval-th iteration, 2 its lower bounds too.
        verbose_interval: See verbose.
        chunk_size: Points worked on at a time; chosen to bound memory by default.
        device: Where to work; where X is by default.
        dtype: float32 or float64; that of X by default.

    Attributes:
        weights_: Expected weights, (K,).
        means_: Expected means, (K, D).
        covariances_: Inverses of the expected precisions, shaped as those of `GaussianMixture`.
        precisions_: Expected precisions.
        precisions_cholesky_: Roots of these: upper triangular U with U U^T = precision.
        converged_: Whether the best restart converged.
        n_iter_: Its iterations.
        lower_bound_: Its last lower bound of the evidence, up to a constant.
        lower_bounds_: That after each iteration.
        weight_concentration_prior_: The value used, as for the four that follow.
        mean_precision_prior_: See there.
        mean_prior_: See there.
        degrees_of_freedom_prior_: See there.
        covariance_prior_: See there.
        weight_concentration_: Of the posterior, (K,); two such of Beta distributions if a process.
        mean_precision_: Of the posterior, (K,).
        degrees_of_freedom_: Of the posterior, (K,), or a number if tied.

    Examples:
        Two clouds of points leave most of five components without weight.

        >>> import gmm, numpy as np
        >>> X = np.concatenate([np.linspace(0, 1, 40), np.linspace(8, 9, 40)])[:, None]
        >>> model = gmm.BayesianGaussianMixture(5, random_state=0, max_iter=500).fit(X)
        >>> int((model.weights_ > 0.05).sum())
        2
    """

    _bound_name = "lower bound"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"diag", "full", "spherical", "tied"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(MEANS))],
        "weight_concentration_prior_type": [StrOptions({PROCESS, DISTRIBUTION})],
        "weight_concentration_prior": [None, Interval(Real, 0, None, closed="neither")],
        "mean_precision_prior": [None, Interval(Real, 0, None, closed="neither")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, 0, None, closed="neither")],
        "covariance_prior": [None, "array-like", Interval(Real, 0, None, closed="neither")],
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
        covariance_type: str = "diag",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weight_concentration_prior_type: str = PROCESS,
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: Any = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: Any = None,
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
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.chunk_size = chunk_size
        self.device = device
        self.dtype = dtype

    @property
    def mixture_(self) -> Mixture:
        """Return the mixture whose densities are those of `score_samples` and `predict_proba`.

        They are exp E[log(pi_k N(x | mu_k, Sigma_k))], so its weights add up to less than one. The
        density with the expected parameters is `gmm.Mixture` of weights_, means_ and covariances_;
        `sample` draws from that.
        """
        check_is_fitted(self, "means_")
        log_weights = self._posterior().parameters().log_weights.reshape(-1)
        return self._mixture(log_weights)

    def _fit(
        self,
        data: Tensor | Rereadable,
        weights: Tensor | None,
        example: Any,
        continues: bool,
        verbose: Verbose | None,
    ) -> None:
        kind = linear(self.covariance_type)
        points, _ = open_points(
            data,
            sample_weight=weights,
            device=self.device,
            dtype=dtype_of(self.dtype),
            chunk_size=self.chunk_size,
            row_numbers=lambda D: kind.row_numbers(self.n_init, self.n_components, D),
            wide=kind.on_diagonal,
        )
        prior = self._prior(points)
        start = self._earlier(points) if continues else self._start(points, prior)
        fit = infer(
            points,
            prior,
            start,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            previous=torch.tensor(self.lower_bound_) if continues else None,
            callback=verbose.iteration if verbose else None,
        )
        self._store(fit, prior, points, example)

    def _prior(self, points: Points) -> Hyperparameters:
        """Return the prior of the points' data set, relative to their centre."""
        kind, D = linear(self.covariance_type), points.n_features
        kinds = (PROCESS, DISTRIBUTION)
        if self.weight_concentration_prior_type not in kinds:
            raise ValueError(
                f"weight_concentration_prior_type must be one of {list(kinds)}, got "
                f"{self.weight_concentration_prior_type!r}"
            )
        covariance = covariance_of(points, "covariance_prior", self.covariance_prior, kind)
        return Hyperparameters(
            covariance_type=self.covariance_type,
            is_process=self.weight_concentration_prior_type == PROCESS,
            weight_concentration=self._above(
                0, "weight_concentration_prior", 1 / max(1, self.n_components)
            ),
            mean_precision=self._above(0, "mean_precision_prior", 1.0),
            mean=mean_of(points, "mean_prior", self.mean_prior).unsqueeze(1),
            degrees_of_freedom=self._above(D - 1, "degrees_of_freedom_prior", D),
            covariance=covariance.unsqueeze(1) if kind.is_shared else covariance[:, None, None],
        )

    def _above(self, least: float, name: str, default: float) -> float:
        """Return the parameter of that name, or its default."""
        value = getattr(self, name)
        value = default if value is None else value
        if not value > least:
            raise ValueError(
                f"{name} must be above {least}, got {value}: The parameter '{name}' should be "
                f"greater than {least}, but got {value:.3f}."
            )
        return float(value)

    def _start(self, points: Points, prior: Hyperparameters) -> Posterior:
        return begin(
            points,
            prior,
            self.n_components,
            Start(self.init_params, **CONVERGED),
            n_init=self.n_init,
            reg_covar=self.reg_covar,
            generator=generator_of(self.random_state),
        )

    def _earlier(self, points: Points) -> Posterior:
        """Return the posterior of the last fit, of batch shape (1, 1)."""
        own = self._posterior()
        tensors = [t.to(points.device) for t in own.tensors()]
        tensors[2] = tensors[2] - points.center.double()[:, None]
        return own.of(tensors)

    def _posterior(self) -> Posterior:
        """Return the fitted posterior, in float64, of batch shape (1, 1)."""
        is_process = isinstance(self.weight_concentration_, tuple)
        own = self.weight_concentration_
        concentrations = own if is_process else (own,)
        concentration = torch.stack([_double(c) for c in concentrations])
        nu = _double(self.degrees_of_freedom_)
        return Posterior(
            concentration=(concentration if is_process else concentration[0])[None, None],
            mean_precision=_double(self.mean_precision_)[None, None],
            means=_double(self.means_)[None, None],
            degrees_of_freedom=nu.reshape(1, 1, -1),
            covariances=_double(self.covariances_)[None, None],
            covariance_type=self.covariance_type,
            is_process=is_process,
        )

    def _store(self, fit: Inference, prior: Hyperparameters, points: Points, example: Any) -> None:
        best = int(fit.final_lower_bound().argmax())
        n_iter, singular = int(fit.n_iter[0, best]), fit.singular[0, best]
        if singular.any() and (self.max_iter == 0 or n_iter < self.max_iter):
            k = int(singular.nonzero()[0])
            raise ValueError(
                f"covariance of component {k} is not positive definite; raise reg_covar "
                f"(now {self.reg_covar}) or give a covariance_prior: {ILL_DEFINED}"
            )
        center = points.center.double()[0]
        posterior = fit.posterior.of([t[0, best] for t in fit.posterior.tensors()])
        parts = (posterior.weights().log(), posterior.means + center, posterior.covariances)
        log_weights, means, covariances = (t.to(points.dtype) for t in parts)
        self._set_mixture(Mixture(log_weights, means, covariances, self.covariance_type), example)
        of_weights = like(posterior.concentration, example)
        self.weight_concentration_ = tuple(of_weights) if posterior.is_process else of_weights
        self.mean_precision_ = like(posterior.mean_precision, example)
        nu, is_shared = posterior.degrees_of_freedom, prior.kind.is_shared
        self.degrees_of_freedom_ = float(nu) if is_shared else like(nu, example)
        self._store_prior(prior, center, example)
        self.converged_ = bool(fit.converged[0, best])
        self._set_history(n_iter, fit.lower_bound[0, best])

    def _store_prior(self, prior: Hyperparameters, center: Tensor, example: Any) -> None:
        self.weight_concentration_prior_ = prior.weight_concentration
        self.mean_precision_prior_ = prior.mean_precision
        self.degrees_of_freedom_prior_ = prior.degrees_of_freedom
        self.mean_prior_ = like(prior.mean[0, 0] + center, example)
        covariance = prior.covariance[0, 0] if prior.kind.is_shared else prior.covariance[0, 0, 0]
        self.covariance_prior_ = like(covariance, example) if covariance.ndim else float(covariance)


def _double(value: Any) -> Tensor:
    return torch.as_tensor(value).double()
