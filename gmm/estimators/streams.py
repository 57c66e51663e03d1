"""What the estimators that learn from a stream of batches have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gmm.fitting.stepwise import StepwiseEM
from gmm.mixtures.mixture import Mixture
from gmm.structures import linear


def check_streams(covariance_type: str, prior: Any) -> None:
    """Check that mixtures of an estimator can learn from a stream.

    Raises:
        ValueError: If the structure is factor or ppca, or there is a prior.
    """
    linear(covariance_type)
    if prior is not None:
        raise ValueError(f"prior must be None in partial_fit, got a {type(prior).__name__}")


def stream_of(estimator: Any, mixture: Mixture, n_points: float) -> StepwiseEM:
    """Return a stream of which n_points, that the estimator fitted the mixture to, are a batch."""
    return StepwiseEM(
        mixture,
        n_points=n_points,
        learning_decay=estimator.learning_decay,
        learning_offset=estimator.learning_offset,
        reg_covar=estimator.reg_covar,
        min_variance=estimator.min_variance,
        chunk_size=estimator.chunk_size,
    )


def adopt(stream: StepwiseEM, estimator: Any) -> None:
    """Set what the user may have changed since the last batch."""
    stream.learning_decay = estimator.learning_decay
    stream.learning_offset = estimator.learning_offset
    stream.reg_covar, stream.min_variance = estimator.reg_covar, estimator.min_variance
    stream.chunk_size = estimator.chunk_size


def points_of_classes(x: Tensor, labels: Any, classes: Any) -> list[Tensor]:
    """Return the points (N, D) of every class, those with its label; others are left out."""
    rows = [torch.from_numpy(np.flatnonzero(labels == name)) for name in classes]
    return [x[own.to(x.device)] for own in rows]


def check_known(labels: Any, classes: Any) -> None:
    """Raise ValueError if a label is none of the classes."""
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(f"y must be among the classes {classes.tolist()}, got {unknown.tolist()}")


def side_by_side(streams: Sequence[StepwiseEM | None]) -> Mixture:
    """Return the mixtures of all streams as one batch; where there is none, those of the first."""
    mixtures = [None if stream is None else stream.mixture for stream in streams]
    first = next(mixture for mixture in mixtures if mixture is not None)
    # The first classes may have come in another dtype, or from another device.
    alike = [(mixture or first).to(first.means) for mixture in mixtures]
    parts = zip(*(mixture.tensors() for mixture in alike), strict=True)
    log_weights, means, covariances = (torch.stack(part) for part in parts)
    return Mixture(log_weights, means, covariances, first.covariance_type)
