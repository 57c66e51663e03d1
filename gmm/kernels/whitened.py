"""One pass of EM over points whose components are narrow: full covariances, with all digits.

Where a component is narrow and far from the centre of the points, the terms of `narrow` are far
larger than their sum. Here points are whitened by each component, y = U^T (x - mu), and products
are about each component's own mean: twice as many operations, and no differences of large numbers.
"""

import numpy as np

from gmm.kernels import SUMS
from gmm.kernels.blas import NO, YES, gemm
from gmm.kernels.compiling import compiled
from gmm.kernels.softmax import settle

_CACHE = 40_000  # numbers that stay in the cache of a core, beside a root
# A responsibility of less adds nothing to a sum, as a component of fewer points is empty.
NOTHING = 1e-28


@compiled
def sweep_whitened(
    x,
    weights,
    center,
    roots,
    means,
    constants,
    first,
    what,
    counts,
    shifts,
    products,
    evidence,
    entropy,
    out,
    address,
    begin,
    end,
):
    """Take the points of some rows through EM's E-step, and sum up for its M-step.

    Args:
        x: Points, (N, D), float32 or float64.
        weights: See `settle`, as for first, what, evidence, entropy and out.
        center: What means are relative to, (D,).
        roots: Upper triangular U of each component, U U^T = Sigma^-1, (P, D, D).
        means: (P, D).
        constants: Log joint density of each component at its mean, (P,).
        counts: Sums of the responsibilities, (P,), added to, as the next two.
        shifts: Sums of x - mu weighted by responsibilities, (P, D).
        products: Sums of the products of its features, (P, D, D); (0, D, D) where not wanted.
        address: From `gemm_address`, of float64.
        begin: First row.
        end: Row after the last.
    """
    (P, D), size = means.shape, np.int32(means.shape[1])
    rows = 8 * min(32, max(2, _CACHE // (2 * D + P + 8) // 8))
    plain, white = np.empty((rows, D)), np.empty((rows, D))
    joint, before = np.empty((P, rows)), np.empty((P if entropy.shape[0] else 0, rows))
    room = np.empty((4, rows))
    bits = room[0].view(np.int64)
    offsets = np.zeros((P, D))
    for p in range(P):
        for d in range(D):
            for e in range(d, D):
                offsets[p, e] += means[p, d] * roots[p, d, e]
    for start in range(begin, end, rows):
        n = min(rows, end - start)
        for i in range(n):
            row, made = x[start + i], plain[i]
            for d in range(D):
                made[d] = row[d] - center[d]
        for p in range(P):
            gemm(
                *(address, np.int32(NO), np.int32(NO), size, np.int32(n), size),
                *(roots[p].ctypes.data, size, plain.ctypes.data, size),
                *(0.0, white.ctypes.data, size),
            )
            offset = offsets[p]
            for i in range(n):
                y, length = white[i], 0.0
                for d in range(D):
                    length += (y[d] - offset[d]) * (y[d] - offset[d])
                joint[p, i] = constants[p] - 0.5 * length
        settle(joint, first, what, weights, start, n, evidence, entropy, before, room, bits, out)
        if what != SUMS:
            continue
        for p in range(P):
            mean, shift, n_near = means[p], shifts[p], 0
            for i in range(n):
                r = joint[p, i]
                counts[p] += r
                if r > NOTHING:
                    root, row, made = np.sqrt(r), plain[i], white[n_near]
                    for d in range(D):
                        difference = row[d] - mean[d]
                        shift[d] += r * difference
                        made[d] = root * difference
                    n_near += 1
            if n_near and products.shape[0]:
                gemm(
                    *(address, np.int32(NO), np.int32(YES), size, size, np.int32(n_near)),
                    *(white.ctypes.data, size, white.ctypes.data, size),
                    *(1.0, products[p].ctypes.data, size),
                )
