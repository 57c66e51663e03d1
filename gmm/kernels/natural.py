"""The natural parameters of a data set's mixtures, for the pass over its points."""

import math

import numpy as np

from gmm.kernels import LENGTH, PAIRS, SQUARES
from gmm.kernels.compiling import compiled

_LOG_2PI = math.log(2 * math.pi)


@compiled
def natural_parameters(
    products, first, mixtures, slots, spread, log_weights, means, covariances, factors, natural
):
    """Set natural (P, F) to the parameters of the statistics, and return the size of their terms.

    Args:
        products: See `update`, as for all that follow.
        spread: Root of the mean square of every feature, (D,).
        natural: (P, F).

    Returns:
        The largest sum of the sizes of the terms of a quadratic form, at a typical point: so many
        times the rounding of a number is that of a log density. 0 on a diagonal.
    """
    D = means.shape[2]
    largest = 0.0
    precision = np.empty((D, D))
    for j in range(mixtures.shape[0]):
        m = mixtures[j]
        for p in range(first[j], first[j + 1]):
            k = slots[p]
            mean = means[m, k]
            constant = log_weights[m, k] - 0.5 * D * _LOG_2PI
            if products == SQUARES:
                for d in range(D):
                    inverse = 1.0 / covariances[m, k, d, 0]
                    natural[p, d] = mean[d] * inverse
                    natural[p, D + 1 + d] = -0.5 * inverse
                    constant -= 0.5 * (mean[d] * mean[d] * inverse - np.log(inverse))
            elif products == LENGTH:
                inverse = 1.0 / covariances[m, k, 0, 0]
                for d in range(D):
                    natural[p, d] = mean[d] * inverse
                    constant -= 0.5 * mean[d] * mean[d] * inverse
                natural[p, D + 1] = -0.5 * inverse
                constant += 0.5 * D * np.log(inverse)
            else:
                root = factors[m, k if products == PAIRS else 0]
                if products == PAIRS or p == first[j]:
                    size = _precision(root, spread, precision)
                    largest = size if not size <= largest else largest
                for d in range(D):
                    constant += np.log(root[d, d])
                for d in range(D):
                    row, linear = precision[d], 0.0
                    for e in range(D):
                        linear += row[e] * mean[e]
                    natural[p, d] = linear
                    constant -= 0.5 * linear * mean[d]
                if products == PAIRS:
                    f = D + 1
                    for d in range(D):
                        natural[p, f] = -0.5 * precision[d, d]
                        f += 1
                        for e in range(d + 1, D):
                            natural[p, f] = -precision[d, e]
                            f += 1
            natural[p, D] = constant
    return largest


@compiled
def _precision(root, spread, precision):
    """Set precision to root root^T; return the sum of the sizes of its terms at `spread`."""
    D, size = root.shape[0], 0.0
    for d in range(D):
        for e in range(d, D):
            a, b, product = root[d, e:], root[e, e:], 0.0
            for k in range(D - e):
                product += a[k] * b[k]
            precision[d, e] = product
            precision[e, d] = product
            size += (1.0 if d == e else 2.0) * abs(product) * spread[d] * spread[e]
    return size


@compiled
def quadratic_of_all(root, scatter):
    """Return the sum over all points of x^T root root^T x, from the sum of their outer products."""
    D, total = root.shape[0], 0.0
    precision = np.empty((D, D))
    _precision(root, np.zeros(D), precision)
    for d in range(D):
        for e in range(D):
            total += precision[d, e] * scatter[d, e]
    return total
