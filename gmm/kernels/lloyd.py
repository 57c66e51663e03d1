"""Points to their nearest centres, but for those that bounds on distances decide (Hamerly 2010).

A point keeps an upper bound of the distance to its own centre and a lower bound of that to any
other. Both move with the centres; as long as the one is below the other, or below half the distance
from its centre to the next, the point stays where it is. The others are collected, and take all
their distances as one matrix product.
"""

import numpy as np

from gmm.kernels.blas import NO, gemm
from gmm.kernels.compiling import compiled

_CACHE = 80_000  # numbers that stay in the cache of a core


@compiled
def assign_rows(
    x,
    weights,
    center,
    centers,
    shifts,
    half_gaps,
    labels,
    upper,
    lower,
    is_first,
    counts,
    sums,
    address,
    begin,
    end,
):
    """Give the points of some rows to their nearest centres, and move their sums along.

    Args:
        x: Points, (N, D), float32 or float64.
        weights: Of the points, (N,), or of length 0 where all count once.
        center: What centres are relative to, (D,).
        centers: (K, D).
        shifts: By how much each centre has moved since the last call, (K,).
        half_gaps: Half the distance of each centre to the one nearest to it, (K,).
        labels: Index of each point's centre, (N,), -1 before the first call; set, as the next two.
        upper: Upper bound of a point's distance to its centre, (N,).
        lower: Lower bound of that to all others, (N,).
        is_first: Whether nothing is known yet.
        counts: Sum of the weights of each centre's points, (K,), changed where points move.
        sums: Sums of the points, (K, D), likewise.
        address: From `gemm_address`, of float64.
        begin: First row.
        end: Row after the last.
    """
    K, D = centers.shape
    farthest, second, own = 0.0, 0.0, -1
    for k in range(K):
        if shifts[k] > farthest:
            farthest, second, own = shifts[k], farthest, k
        elif shifts[k] > second:
            second = shifts[k]
    natural = np.empty((K, D + 1))
    for k in range(K):
        length = 0.0
        for d in range(D):
            natural[k, d] = centers[k, d]
            length += centers[k, d] * centers[k, d]
        natural[k, D] = -0.5 * length
    n_rows = 8 * min(16, max(2, _CACHE // (D + K) // 8))
    plain, joint = np.empty((D + 1, n_rows)), np.empty((K, n_rows))
    plain[D, :] = 1.0
    open_rows = np.empty(n_rows, np.int64)
    n_open = 0
    for i in range(begin, end):
        row = x[i]
        if not is_first:
            k = labels[i]
            upper[i] += shifts[k]
            lower[i] -= second if k == own else farthest
            enough = max(lower[i], half_gaps[k])
            if upper[i] <= enough:
                continue
            distance, mean = 0.0, centers[k]
            for d in range(D):
                difference = row[d] - center[d] - mean[d]
                distance += difference * difference
            upper[i] = np.sqrt(distance)
            if upper[i] <= enough:
                continue
        for d in range(D):
            plain[d, n_open] = row[d] - center[d]
        open_rows[n_open] = i
        n_open += 1
        if n_open == n_rows:
            _decide(
                *(plain, natural, joint, open_rows, n_open, weights, labels, upper, lower),
                *(counts, sums, address),
            )
            n_open = 0
    if n_open:
        _decide(
            *(plain, natural, joint, open_rows, n_open, weights, labels, upper, lower),
            *(counts, sums, address),
        )


@compiled
def _decide(
    plain, natural, joint, open_rows, n, weights, labels, upper, lower, counts, sums, address
):
    """Take the distances of n points to all centres; move those that are nearer to another."""
    (K, F), rows = natural.shape, plain.shape[1]
    D = F - 1
    gemm(
        *(address, np.int32(NO), np.int32(NO), np.int32(n), np.int32(K), np.int32(F)),
        *(plain.ctypes.data, np.int32(rows), natural.ctypes.data, np.int32(F)),
        *(0.0, joint.ctypes.data, np.int32(rows)),
    )
    best, next_best = np.full(rows, -np.inf), np.full(rows, -np.inf)
    which = np.zeros(rows, np.int64)
    for k in range(K):
        for j in range(n):
            value = joint[k, j]
            is_better = value > best[j]
            next_best[j] = best[j] if is_better else max(next_best[j], value)
            which[j] = k if is_better else which[j]
            best[j] = value if is_better else best[j]
    lengths = np.zeros(rows)
    for d in range(D):
        for j in range(n):
            lengths[j] += plain[d, j] * plain[d, j]
    for j in range(n):
        i, k = open_rows[j], which[j]
        upper[i] = np.sqrt(max(lengths[j] - 2 * best[j], 0.0))
        lower[i] = np.sqrt(max(lengths[j] - 2 * next_best[j], 0.0))
        before = labels[i]
        if k == before:
            continue
        labels[i] = k
        w = weights[i] if weights.shape[0] else 1.0
        counts[k] += w
        for d in range(D):
            sums[k, d] += w * plain[d, j]
        if before >= 0:
            counts[before] -= w
            for d in range(D):
                sums[before, d] -= w * plain[d, j]
