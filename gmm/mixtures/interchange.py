"""Mixtures as PyTorch's distributions and as scikit-learn's models, and back.

scikit-learn is imported only by the functions that name it.
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from gmm.mixtures.components import Components, components
from gmm.structures import structure, whitening

_KINDS = "a MixtureSameFamily of Independent(Normal(...), 1) or of MultivariateNormal"

# What a `gmm.Mixture` is made of: log weights, means, covariances and their type.
Parts = tuple[Tensor, Tensor, Tensor, str]


def to_distribution(log_weights: Tensor, f: Components, dtype: torch.dtype) -> MixtureSameFamily:
    """Return the distribution of components of batch shape *B with these weights, (*B, K)."""
    means, roots = f.means.to(dtype), f.roots.to(dtype)
    of_each: Distribution
    if f.on_diagonal:
        of_each = Independent(Normal(means, roots), 1)
    else:
        of_each = MultivariateNormal(means, scale_tril=roots)
    return MixtureSameFamily(Categorical(logits=log_weights.to(dtype)), of_each)


def from_distribution(distribution: Distribution) -> Parts:
    """Return the parameters of a distribution, see `gmm.Mixture.from_distribution`."""
    if not isinstance(distribution, MixtureSameFamily):
        raise ValueError(f"distribution must be {_KINDS}, got {type(distribution).__name__}")
    of_each = distribution.component_distribution
    weights = _log_weights(distribution).expand(of_each.batch_shape)
    if isinstance(of_each, MultivariateNormal):
        return weights, of_each.mean, of_each.covariance_matrix, "full"
    is_diag = isinstance(of_each, Independent) and isinstance(of_each.base_dist, Normal)
    if not is_diag or len(of_each.event_shape) != 1:
        raise ValueError(f"distribution must be {_KINDS}, got one of {of_each}")
    return weights, of_each.mean, of_each.variance, "diag"


def _log_weights(distribution: MixtureSameFamily) -> Tensor:
    """Return log pi, with -inf for probabilities that were given as 0."""
    choice = distribution.mixture_distribution
    # PyTorch raises such a probability to eps; one that is 0 because its logit is low is far below.
    was_zero = (choice.probs == 0) & (choice.logits > -100)
    return choice.logits.masked_fill(was_zero, -torch.inf)


def to_sklearn(
    log_weights: Tensor, means: Tensor, covariances: Tensor, covariance_type: str
) -> Any:
    """Return a fitted GaussianMixture of scikit-learn, see `gmm.Mixture.to_sklearn`."""
    from sklearn.mixture import GaussianMixture

    kind, (K, D) = structure(covariance_type), means.shape
    f = components(log_weights, means, covariances, covariance_type)
    _ = f.roots  # which covariance has none is said here
    spread = covariances.double()
    roots = spread.rsqrt() if kind.on_diagonal else whitening(spread)[0]
    model = GaussianMixture(n_components=K, covariance_type=covariance_type)
    fitted = {
        "weights_": f.log_weights.exp(),
        "means_": f.means,
        "covariances_": spread,
        "precisions_": roots.square() if kind.on_diagonal else roots @ roots.mT,
        "precisions_cholesky_": roots,
    }
    for name, value in fitted.items():
        setattr(model, name, value.detach().cpu().contiguous().numpy().copy())
    model.n_features_in_ = D
    model.converged_, model.n_iter_ = True, 0
    model.lower_bound_, model.lower_bounds_ = -float("inf"), []
    return model


def from_sklearn(model: Any) -> Parts:
    """Return the parameters of a fitted model, see `gmm.Mixture.from_sklearn`."""
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(model, GaussianMixture | BayesianGaussianMixture):
        raise ValueError(
            "model must be a GaussianMixture or BayesianGaussianMixture of scikit-learn, got "
            f"{type(model).__module__}.{type(model).__qualname__}"
        )
    check_is_fitted(model)
    weights, means, covariances = (
        _copied(v) for v in (model.weights_, model.means_, model.covariances_)
    )
    return weights.log(), means, covariances, model.covariance_type


def _copied(value: Any) -> Tensor:
    # With its array API switched on, scikit-learn keeps tensors where it was given tensors.
    return value.detach().clone() if isinstance(value, Tensor) else torch.tensor(value)
