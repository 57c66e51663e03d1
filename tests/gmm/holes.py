"""Points with missing values, and EM on them by loops in NumPy that the tests compare with."""

import numpy as np
from oracles import blobs, matrices
from scipy.stats import multivariate_normal


def blobs_with_holes(n: int, D: int, share: float = 0.3, seed: int = 0, K: int = 3) -> np.ndarray:
    """Return the points of `blobs` with NaN in a share of all places; the first misses nothing."""
    x = blobs(n, D, K, seed)
    holes = np.random.default_rng(seed + 1).random(x.shape) < share
    holes[0] = False
    return np.where(holes, np.nan, x)


def observed_log_joint(x: np.ndarray, p: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return log(pi_k N(x_observed | k)) by scipy on the observed features, (N, K)."""
    K, D = p["means"].shape
    covariances = matrices(p["covariances"], name, K, D)
    out = np.tile(np.log(p["weights"]), (len(x), 1))
    for n, row in enumerate(x):
        o = ~np.isnan(row)
        for k in range(K if o.any() else 0):
            part = multivariate_normal(p["means"][k][o], covariances[k][np.ix_(o, o)])
            out[n, k] += part.logpdf(row[o])
    return out


def completed(
    row: np.ndarray, mean: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return E[x | x_observed] and Cov[x | x_observed] of a Gaussian, (D,) and (D, D)."""
    o, m = ~np.isnan(row), np.isnan(row)
    gain = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
    x, C = row.copy(), np.zeros_like(covariance)
    x[m] = mean[m] + gain @ (row[o] - mean[o])
    C[np.ix_(m, m)] = covariance[np.ix_(m, m)] - gain @ covariance[np.ix_(o, m)]
    return x, C


def em_step(x: np.ndarray, p: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Return the parameters after an EM step (Ghahramani & Jordan 1994), point by point."""
    (N, D), K = x.shape, len(p["weights"])
    joint = observed_log_joint(x, p, name)
    resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    counts, means, spread = resp.sum(0), np.zeros((K, D)), np.zeros((K, D, D))
    for k, covariance in enumerate(matrices(p["covariances"], name, K, D)):
        each = [completed(row, p["means"][k], covariance) for row in x]
        means[k] = sum(r * row for r, (row, _) in zip(resp[:, k], each, strict=True)) / counts[k]
        for r, (row, C) in zip(resp[:, k], each, strict=True):
            spread[k] += r * (np.outer(row - means[k], row - means[k]) + C)
    covariances = {
        "full": spread / counts[:, None, None],
        "tied": spread.sum(0) / N,
        "diag": np.diagonal(spread, 0, 1, 2) / counts[:, None],
        "spherical": np.trace(spread, 0, 1, 2) / counts / D,
    }[name]
    return {"weights": counts / N, "means": means, "covariances": covariances}
