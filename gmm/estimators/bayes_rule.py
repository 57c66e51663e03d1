"""What Bayes' rule needs beside densities: p(c), and the temperature that calibrates p(c | x)."""

from typing import Any

import numpy as np
from scipy.optimize import brentq
from torch import Tensor

Array = np.ndarray[Any, Any]

# Between these a temperature is sought, as its logarithm.
LOG_TEMPERATURES = (-7.0, 15.0)


def log_priors(priors: Any, counts: Array) -> Array:
    """Return log p(c), (C,).

    Args:
        priors: None for the shares of the training points, "uniform" for the same of every class,
            or p(c), (C,).
        counts: Training points of each class, (C,).

    Raises:
        ValueError: If priors is something else, not all above 0, or does not sum to 1.
    """
    C = len(counts)
    if priors is None:
        found: Array = np.log(counts / counts.sum())
        return found
    if isinstance(priors, str):
        if priors != "uniform":
            raise ValueError(f"priors must be None, uniform or {C} numbers, got {priors!r}")
        return np.full(C, -np.log(C))
    shares = np.asarray(priors.cpu() if isinstance(priors, Tensor) else priors, dtype=np.float64)
    if shares.shape != (C,):
        raise ValueError(f"priors must be {C} numbers, one per class, got shape {shares.shape}")
    if not ((shares > 0).all() and abs(shares.sum() - 1) < 1e-6):
        raise ValueError(f"priors must be above 0 and sum to 1, got {shares.tolist()}")
    return np.log(shares)


def least_loss_temperature(log_proba: Tensor, index: Tensor) -> float:
    """Return the T for which softmax(log p / T) has the least log loss (Guo et al. 2017, eq. 9).

    The loss is convex in 1 / T. Its slope there is the mean of log p's expectation under that
    softmax, less log p of the true class: the least loss is where both are the same. If every
    point's class is the most probable one, the loss falls to the least T that is tried.

    Args:
        log_proba: log p(c | x), (N, C).
        index: The true classes, (N,).
    """
    truth = log_proba.gather(-1, index.unsqueeze(-1)).mean()

    def slope(log_temperature: float) -> float:
        proba = (log_proba / np.exp(log_temperature)).softmax(-1)
        return float((proba * log_proba).sum(-1).mean() - truth)

    low, high = LOG_TEMPERATURES
    if slope(low) <= 0:
        return float(np.exp(low))
    if slope(high) >= 0:
        return float(np.exp(high))
    return float(np.exp(brentq(slope, low, high, xtol=1e-12)))
