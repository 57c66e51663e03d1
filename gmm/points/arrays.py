"""What goes into the estimators and what comes out: NumPy for NumPy, tensors for tensors."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data
from torch import Tensor

from gmm.points.blocks import as_points
from gmm.points.weights import checked_weights, without_zeros


class Rereadable:
    """Batches of one data set; each iteration starts at the first batch.

    Attributes:
        n_points: Number of points, once all have been read.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches
        self.n_points = 0

    def __iter__(self) -> Iterator[Tensor]:
        n_points = 0
        for batch in self.batches:
            points = as_points(batch)
            n_points += len(points)
            yield points
        self.n_points = n_points


def batches_of(X: Any) -> Rereadable | None:
    """Return X as batches if it is an iterable of (n, D) arrays or tensors, otherwise None."""
    if hasattr(X, "shape") or hasattr(X, "__array__") or hasattr(X, "__dataframe__"):
        return None
    if isinstance(X, list | tuple):
        matrices = bool(X) and all(getattr(item, "ndim", 0) == 2 for item in X)
        return Rereadable(X) if matrices else None
    if not isinstance(X, Iterable) or isinstance(X, str | bytes):
        return None
    if iter(X) is X:
        raise ValueError(
            "an iterable of batches must be readable more than once, got an iterator; "
            "pass a list, a DataLoader or an object with __iter__"
        )
    return Rereadable(X)


def points_of(estimator: BaseEstimator, X: Any, *, reset: bool, min_samples: int = 1) -> Tensor:
    """Return X as a tensor (N, D) of floats.

    Args:
        estimator: Remembers D if reset; otherwise X must have the D that it remembers.
        X: Array-like or tensor. That it is finite is seen where it is read.
        reset: True in fit.
        min_samples: Fewest points.

    Raises:
        ValueError: If it has another shape.
    """
    if not isinstance(X, Tensor):
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            ensure_min_samples=min_samples,
        )
        X.flags.writeable or (X := X.copy())
        return torch.from_numpy(np.ascontiguousarray(X))
    if X.ndim != 2:
        raise ValueError(f"X must be (N, D), got shape {tuple(X.shape)}")
    if len(X) < min_samples:
        raise ValueError(f"X must have at least {min_samples} points, got n_samples = {len(X)}")
    if reset:
        estimator.n_features_in_ = X.shape[1]
        vars(estimator).pop("feature_names_in_", None)  # of an earlier fit
    elif X.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input"
        )
    return X if X.is_floating_point() else X.to(torch.get_default_dtype())


def counted(
    x: Tensor, weights: Tensor | None, min_samples: int = 1
) -> tuple[Tensor, Tensor | None]:
    """Return the points (N, D) whose weights (N,) are not zero, and these, in float64.

    Args:
        x: Points.
        weights: As a user gave them, or None: then all points count once.
        min_samples: Fewest points.

    Raises:
        ValueError: If the weights break a rule, or fewer points are left.
    """
    if weights is None:
        return x, None
    x, weights = without_zeros(x, checked_weights(weights, (len(x),)))
    if len(x) < min_samples:
        raise ValueError(
            f"sample_weight must be above zero for at least {min_samples} points, got {len(x)}"
        )
    return x, weights


def like(result: Tensor, X: Any) -> Any:
    """Return the result on X's device if X is a tensor, else as an array."""
    return result.to(X.device) if isinstance(X, Tensor) else result.cpu().numpy()


def given(value: Any) -> Tensor | None:
    """Return a user's parameter as a tensor of floats, or None."""
    if value is None:
        return None
    if not isinstance(value, Tensor):
        value = torch.from_numpy(np.array(value))
    found: Tensor = value if value.is_floating_point() else value.double()
    return found


def dtype_of(value: torch.dtype | str | None) -> torch.dtype | None:
    """Return the dtype of the given name.

    Raises:
        ValueError: If it is neither float32 nor float64.
    """
    dtype = getattr(torch, value, None) if isinstance(value, str) else value
    if dtype not in (None, torch.float32, torch.float64) or (dtype is None and value is not None):
        raise ValueError(f"dtype must be float32 or float64, got {value!r}")
    return dtype


def generator_of(random_state: Any) -> torch.Generator:
    """Return a generator seeded from a scikit-learn random_state."""
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return torch.Generator().manual_seed(int(seed))
