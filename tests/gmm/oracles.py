"""Data and plain NumPy formulae that the tests of the mixtures compare with."""

from pathlib import Path

import numpy as np
import torch
from scipy.stats import multivariate_normal, norm
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import gmm

STRUCTURES = ("diag", "spherical", "tied", "full")


def blobs(n: int, D: int, K: int = 3, seed: int = 0) -> np.ndarray:
    """Return overlapping clusters away from the origin, (n, D)."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=3, size=(K, D)) + 5
    shapes = rng.normal(size=(K, D, D)) * 0.3 + np.eye(D)
    label = rng.integers(0, K, n)
    return centers[label] + np.einsum("nd,nde->ne", rng.normal(size=(n, D)), shapes[label])


def parameters(x: np.ndarray, K: int, covariance_type: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Return weights, means and covariances from which EM on x can begin."""
    rng = np.random.default_rng(seed)
    D = x.shape[1]
    scale = rng.uniform(0.5, 2, size=K)
    matrix = np.cov(x.T).reshape(D, D) / 2 + 0.1 * np.eye(D)
    covariances = {
        "full": scale[:, None, None] * matrix,
        "tied": matrix,
        "diag": scale[:, None] * np.diag(matrix),
        "spherical": scale * np.diag(matrix).mean(),
    }[covariance_type]
    means = x[rng.choice(len(x), K, replace=False)]
    return {"weights": rng.dirichlet(np.full(K, 5)), "means": means, "covariances": covariances}


def matrices(covariances: np.ndarray, covariance_type: str, K: int, D: int) -> np.ndarray:
    """Return covariances as (K, D, D) whatever their structure."""
    return {
        "full": lambda c: c,
        "tied": lambda c: np.broadcast_to(c, (K, D, D)),
        "diag": lambda c: np.stack([np.diag(v) for v in c]),
        "spherical": lambda c: c[:, None, None] * np.eye(D),
    }[covariance_type](covariances)


def scipy_log_joint(x: np.ndarray, p: dict[str, np.ndarray], covariance_type: str) -> np.ndarray:
    """Return log(pi_k N(x_n | k)) by scipy, (N, K)."""
    K, D = p["means"].shape
    full = matrices(p["covariances"], covariance_type, K, D)
    terms = [
        np.log(w) + multivariate_normal(m, c).logpdf(x)
        for w, m, c in zip(p["weights"], p["means"], full, strict=True)
    ]
    return np.stack(terms, -1)


def mixture_of(p: dict[str, np.ndarray], covariance_type: str) -> gmm.Mixture:
    weights, means, covariances = (torch.from_numpy(np.array(v)) for v in p.values())
    return gmm.Mixture(weights.log(), means, covariances, covariance_type)


def diagonal_log_joint(x: np.ndarray, mixture: gmm.Mixture) -> np.ndarray:
    """Return log(pi_k N(x_n | k)) of one diagonal mixture in float64, (N, K)."""
    weights, means, variances = (t.double().numpy() for t in mixture.tensors())
    joint = [
        w + norm.logpdf(x, m, np.sqrt(v)).sum(-1)
        for w, m, v in zip(weights, means, variances, strict=True)
    ]
    return np.stack(joint, -1)


def board_of(folder: Path) -> EventAccumulator:
    """Return what TensorBoard reads in a folder."""
    return EventAccumulator(str(folder)).Reload()
