"""How often each point counts: the rules of `sample_weight`, and points that do not count."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def checked_weights(weights: Any, shape: tuple[int, ...], of: str = "") -> Tensor:
    """Return weights in float64.

    Args:
        weights: A weight per point.
        shape: Theirs, (*C, N).
        of: What a message says after "sample_weight".

    Raises:
        ValueError: If the shape is another, a weight is negative, infinite or NaN, or all of a data
            set are zero.
    """
    given = torch.as_tensor(weights)
    if tuple(given.shape) != shape:
        raise ValueError(
            f"sample_weight{of} must have shape {shape}, a weight per point, "
            f"got {tuple(given.shape)}"
        )
    given = given.detach().double()
    bad = ~(given.isfinite() & (given >= 0))
    if bad.any():
        place = bad.nonzero()[0].tolist()
        point = place[0] if len(place) == 1 else tuple(place)
        raise ValueError(
            f"sample_weight{of} must be finite and not negative, "
            f"got {float(given[tuple(place)])} for point {point}"
        )
    totals = given.sum(-1).flatten()
    wrong = totals[~((totals > 0) & totals.isfinite())]
    if len(wrong):
        raise ValueError(
            f"sample_weight{of} must have a finite sum above zero, got {float(wrong[0])}"
        )
    return given


def without_zeros(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the points (N, D) whose weights (N,) are not zero, and these, on their device."""
    weights = weights.to(x.device)
    counts = weights > 0
    return (x, weights) if bool(counts.all()) else (x[counts], weights[counts])


def weighed(sets: Sequence[Tensor], weights: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Return data sets, and weights, without the points of weight zero.

    Args:
        sets: G data sets (N_g, D).
        weights: A weight per point of each, G times (N_g,).

    Raises:
        ValueError: If the weights break a rule, see `checked_weights`.
    """
    if not isinstance(weights, Sequence) or len(weights) != len(sets):
        got = len(weights) if isinstance(weights, Sequence) else type(weights).__name__
        raise ValueError(
            f"sample_weight must be a list of {len(sets)} tensors, one per data set, got {got}"
        )
    pairs = [
        without_zeros(x, checked_weights(w, tuple(x.shape[:1]), f" of data set {g}"))
        for g, (x, w) in enumerate(zip(sets, weights, strict=True))
    ]
    return [x for x, _ in pairs], [w for _, w in pairs]
