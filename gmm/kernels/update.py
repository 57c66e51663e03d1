"""The M-step of a data set's mixtures in one call, and who of them goes on.

`gmm.maximising.m_step` and `gmm.structures` say the same in products of tensors, for GPUs, priors,
floors under eigenvalues and processes that share the points. On small problems a call of PyTorch
takes longer than the whole of it takes here.
"""

import numpy as np

from gmm.kernels import NONE, PAIRS, SQUARES
from gmm.kernels.compiling import compiled, compiled_in_order

_EPS = 2.220446049250313e-16
# As in `gmm.structures.covariance` and `gmm.maximising.m_step`.
_NOISE = 16 * _EPS
_COUNT_OFFSET = 10 * _EPS
_ABANDONED = 1e-12


@compiled_in_order
def update(
    products,
    sums,
    first,
    mixtures,
    slots,
    scatter,
    reg_covar,
    min_variance,
    log_weights,
    means,
    covariances,
    factors,
    singular,
    empty,
):
    """Take the M-step of mixtures that are still fitted; those that break down keep their own.

    Args:
        products: Which products are among the statistics: LENGTH for spherical covariances, SQUARES
            for diag, PAIRS for full and NONE for tied ones.
        sums: Statistics weighted by responsibilities, (P, F).
        first: Where the components of a mixture begin, (m + 1,).
        mixtures: Which of the M mixtures these are, (m,).
        slots: Place of each component among its mixture's K, (P,).
        scatter: Sum of the outer products of all points, (D, D), if tied.
        reg_covar: Added to the variances.
        min_variance: Floor under them after that; 0 if full or tied.
        log_weights: (M, K), set to the new ones, as all that follow.
        means: (M, K, D).
        covariances: (M, K, D, 1) if diag, (M, K, 1, 1) if spherical, (M, K, D, D) if full and
            (M, 1, D, D) if tied.
        factors: Upper triangular U with U U^T = Sigma^-1 if full or tied; else of no use.
        singular: Components whose covariance lost its density, (M, K).
        empty: Components that no point belongs to, (M, K).
    """
    D = means.shape[2]
    for j in range(mixtures.shape[0]):
        m, one, last = mixtures[j], first[j], first[j + 1]
        total = 0.0
        for p in range(one, last):
            total += sums[p, D] + _COUNT_OFFSET
        new_means = np.empty((last - one, D))
        for p in range(one, last):
            count = sums[p, D] + _COUNT_OFFSET
            for d in range(D):
                new_means[p - one, d] = sums[p, d] / count
        n_new = 1 if products == NONE else last - one
        shape = (n_new, covariances.shape[2], covariances.shape[3])
        new = np.zeros(shape)
        roots = np.zeros(shape)
        if products == NONE:
            _tied(sums, one, last, total, scatter, new_means, new)
        elif products == PAIRS:
            _full(sums, one, last, new_means, new)
        else:
            _on_diagonal(products, sums, one, last, new_means, new)
        is_sound = True
        for i in range(n_new):
            if products != NONE and sums[one + i, D] < _ABANDONED:
                new[i] = covariances[m, slots[one + i]]
                if products == PAIRS:
                    roots[i] = factors[m, slots[one + i]]
                continue
            if products in (NONE, PAIRS):
                for d in range(D):
                    new[i, d, d] += reg_covar
                broken = not _root(new[i], roots[i])
            else:
                broken = False
                for d in range(shape[1]):
                    variance = max(new[i, d, 0] + reg_covar, min_variance)
                    new[i, d, 0] = variance
                    if not (variance > 0 and variance < np.inf):
                        broken = True
            if broken:
                is_sound = False
                if products == NONE:
                    for p in range(one, last):
                        singular[m, slots[p]] = True
                else:
                    singular[m, slots[one + i]] = True
        if not is_sound:
            continue
        for p in range(one, last):
            k = slots[p]
            is_empty = sums[p, D] < _ABANDONED
            empty[m, k] = is_empty
            log_weights[m, k] = np.log((sums[p, D] + _COUNT_OFFSET) / total)
            if not is_empty:
                means[m, k] = new_means[p - one]
                if products != NONE:
                    covariances[m, k] = new[p - one]
                if products == PAIRS:
                    factors[m, k] = roots[p - one]
        if products == NONE:
            covariances[m, 0] = new[0]
            factors[m, 0] = roots[0]


@compiled_in_order
def settle_step(evidence, size, mixtures, tol, singular, active, converged, n_iter, previous):
    """Set a data set's flags after a step of some of its mixtures.

    Args:
        evidence: Sum of log p(x), (m,), before the step.
        size: Number of points, or the sum of their weights.
        mixtures: Which of the M mixtures took the step, (m,).
        tol: A mixture ends when its mean log-likelihood changes by less.
        singular: (M, K), of the step, too.
        active: Mixtures that go on, (M,), set, as all that follow.
        converged: (M,).
        n_iter: (M,).
        previous: Mean log-likelihoods, (M,); NaN for those that took no step.
    """
    old = previous.copy()
    previous[:] = np.nan
    for j in range(mixtures.shape[0]):
        m = mixtures[j]
        mean = evidence[j] / size
        n_iter[m] += 1
        previous[m] = mean
        if singular[m].any():
            active[m] = False
        elif abs(mean - old[m]) < tol:
            converged[m] = True
            active[m] = False


@compiled_in_order
def _on_diagonal(products, sums, one, last, new_means, new):
    """Set new to the variances, and to 0 where only rounding is left."""
    D = new_means.shape[1]
    for p in range(one, last):
        count = sums[p, D] + _COUNT_OFFSET
        if products == SQUARES:
            for d in range(D):
                second = sums[p, D + 1 + d] / count
                variance = second - new_means[p - one, d] * new_means[p - one, d]
                new[p - one, d, 0] = variance if variance > _NOISE * second else 0.0
        else:
            length, second = 0.0, sums[p, D + 1] / count
            for d in range(D):
                length += new_means[p - one, d] * new_means[p - one, d]
            variance = second - length
            new[p - one, 0, 0] = variance / D if variance > _NOISE * second else 0.0


@compiled_in_order
def _full(sums, one, last, new_means, new):
    """Set new to the covariances, with zeros in rows and columns where only rounding is left."""
    D = new_means.shape[1]
    noise = np.empty(D)
    for p in range(one, last):
        mean, made, f = new_means[p - one], new[p - one], D + 1
        count = sums[p, D] + _COUNT_OFFSET
        for d in range(D):
            noise[d] = _NOISE * sums[p, f] / count
            for e in range(d, D):
                made[d, e] = sums[p, f] / count - mean[d] * mean[e]
                made[e, d] = made[d, e]
                f += 1
        _clear(made, noise)


@compiled_in_order
def _tied(sums, one, last, total, scatter, new_means, new):
    """Set new to the covariance of all components (Bishop 2006, eq. 9.25, averaged over them)."""
    D = new_means.shape[1]
    made, noise = new[0], np.empty(D)
    for d in range(D):
        noise[d] = _NOISE * scatter[d, d] / total
        for e in range(D):
            made[d, e] = scatter[d, e] / total
    for p in range(one, last):
        share = (sums[p, D] + _COUNT_OFFSET) / total
        mean = new_means[p - one]
        for d in range(D):
            scaled = share * mean[d]
            for e in range(D):
                made[d, e] -= scaled * mean[e]
    for d in range(D):
        for e in range(d):
            made[e, d] = made[d, e]
    _clear(made, noise)


@compiled_in_order
def _clear(made, noise):
    """Set rows and columns of made (D, D) to 0 where its diagonal is no more than noise (D,)."""
    for d in range(noise.shape[0]):
        if not made[d, d] > noise[d]:
            made[d, :] = 0.0
            made[:, d] = 0.0


@compiled
def _root(covariance, root):
    """Set root to upper triangular U, U U^T = covariance^-1; return False if that is singular."""
    D = covariance.shape[0]
    lower, inverse = np.zeros((D, D)), np.zeros((D, D))
    for i in range(D):
        row = lower[i]
        for j in range(i + 1):
            other, left = lower[j], covariance[i, j]
            for k in range(j):
                left -= row[k] * other[k]
            if i == j:
                if not (left > 0 and left < np.inf):
                    return False
                row[i] = np.sqrt(left)
            else:
                row[j] = left / other[j]
    for i in range(D):
        row = inverse[i]
        row[i] = 1.0
        for j in range(i):
            factor, other = lower[i, j], inverse[j]
            for k in range(j + 1):
                row[k] -= factor * other[k]
        scale = 1.0 / lower[i, i]
        for k in range(i + 1):
            row[k] *= scale
        for k in range(i + 1):
            root[k, i] = row[k]
        if not row[i] * row[i] * covariance[i, i] < 4 / _NOISE:
            return False
    return True
