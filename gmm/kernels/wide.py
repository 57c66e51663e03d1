"""One pass of EM over points of thousands of features, without correlations, in their own dtype.

As in `narrow`, densities and sums are matrix products of statistics of the points; here these are
made of some hundreds of features at a time. Where components are few, products of BLAS are slow,
and loops over four points at a time are not.

In float32 each product adds up some hundreds of numbers, and such sums are added up in float64.
What components have in common is then a component of its own, so that its rounding, which all of
them share, leaves the responsibilities alone.
"""

import numpy as np

from gmm.kernels import SUMS, SUMS_OF_LIKELIEST
from gmm.kernels.blas import NO, YES, gemm
from gmm.kernels.compiling import compiled
from gmm.kernels.softmax import settle

FEATURES = 256  # of a point, from which on this pass is the faster one

_CACHE = 600_000  # bytes that stay in the cache of a core
_FEW = 24  # components


@compiled
def sweep_wide(
    x,
    weights,
    center,
    linear,
    squared,
    of_length,
    constant,
    first,
    what,
    sums,
    sums_of_squares,
    sums_of_lengths,
    counts,
    evidence,
    entropy,
    out,
    address,
    begin,
    end,
):
    """Take the points of some rows through EM's E-step, and sum up for its M-step.

    log(pi_k N(x)) = x . linear_k + x^2 . squared_k + |x|^2 of_length_k + constant_k, to which the
    products of a row after the last component are added, if there is one.

    Args:
        x: Points, (N, D), float32 or float64.
        weights: See `settle`, as for first, what, evidence, entropy and out.
        center: What the parameters are relative to, (D,), in the dtype of x, as the next two.
        linear: (P, D), or one row more for what components have in common.
        squared: The same, or (0, D) where there is none.
        of_length: (P,).
        constant: (P,).
        sums: Sums of the points weighted by responsibilities, (P, D), added to.
        sums_of_squares: The same of the squared features, (P, D) or (0, D).
        sums_of_lengths: The same of |x|^2, (P,).
        counts: Sums of the responsibilities, (P,), added to.
        address: From `gemm_address`, for the dtype of x.
        begin: First row.
        end: Row after the last.
    """
    D, P, Q = x.shape[1], constant.shape[0], linear.shape[0]
    has_squares = squared.shape[0] > 0
    width = min(D, FEATURES)
    rows = 8 * min(16, max(2, _CACHE // (D * x.itemsize) // 8))
    plain, squares = np.empty((rows, D), x.dtype), np.empty((rows, width), x.dtype)
    part, resp = np.empty((Q, rows), x.dtype), np.empty((P, rows), x.dtype)
    summed, summed_squares = np.empty((P, width), x.dtype), np.empty((P, width), x.dtype)
    joint, lengths, common = np.empty((P, rows)), np.empty(rows), np.empty(rows)
    before = np.empty((P if entropy.shape[0] else 0, rows))
    room = np.empty((4, rows))
    bits = room[0].view(np.int64)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for start in range(begin, end, rows):
        n = min(rows, end - start)
        for i in range(n):
            lengths[i] = common[i] = 0.0
        _fill(x, center, plain, start, n)
        for d in range(0, D, width):
            w = min(width, D - d)
            if has_squares and P < _FEW:
                _inner_few(plain, linear, squared, part, d, w, n)
            else:
                _square(plain, squares, n, d, w)
                _inner(address, plain[:, d:], linear, part, d, w, n, zero)
                if has_squares:
                    _inner(address, squares, squared, part, d, w, n, one)
            if not has_squares:
                for i in range(n):
                    length = zero
                    for e in range(w):
                        length += squares[i, e]
                    lengths[i] += length
            for p in range(P):
                if d == 0:
                    joint[p, :n] = constant[p]
                for i in range(n):
                    joint[p, i] += part[p, i]
            if Q > P:
                for i in range(n):
                    common[i] += part[P, i]
        for p in range(P):
            for i in range(n):
                joint[p, i] += common[i] + of_length[p] * lengths[i]
        settle(joint, first, what, weights, start, n, evidence, entropy, before, room, bits, out)
        if what != SUMS and what != SUMS_OF_LIKELIEST:
            continue
        for p in range(P):
            count, total = 0.0, 0.0
            for i in range(n):
                count += joint[p, i]
                total += joint[p, i] * lengths[i]
                resp[p, i] = joint[p, i]
            resp[p, n : (n + 3) // 4 * 4] = 0
            counts[p] += count
            sums_of_lengths[p] += total
        for d in range(0, D, width):
            w = min(width, D - d)
            if has_squares and P < _FEW:
                _outer_few(plain, resp, summed, summed_squares, d, w, n)
                _add(summed, sums, d, w)
                _add(summed_squares, sums_of_squares, d, w)
                continue
            _outer(address, plain[:, d:], resp, summed, sums, d, w, n)
            if has_squares:
                _square(plain, squares, n, d, w)
                _outer(address, squares, resp, summed, sums_of_squares, d, w, n)


@compiled
def _fill(x, center, plain, start, n):
    """Set plain to n points relative to the centre, and rows up to a multiple of four to 0."""
    for i in range(n):
        row, made = x[start + i], plain[i]
        for e in range(row.shape[0]):
            made[e] = row[e] - center[e]
    for i in range(n, (n + 3) // 4 * 4):
        plain[i] = 0


@compiled
def _square(plain, squares, n, d, w):
    """Set squares to the squares of w features of n points from feature d on."""
    for i in range(n):
        row, made = plain[i, d : d + w], squares[i]
        for e in range(w):
            made[e] = row[e] * row[e]


@compiled
def _inner_few(plain, linear, squared, part, d, w, n):
    """Set part (Q, n) to x . linear + x^2 . squared over w features from feature d on."""
    zero = plain.dtype.type(0)
    for i in range(0, n, 4):
        x0, x1 = plain[i, d : d + w], plain[i + 1, d : d + w]
        x2, x3 = plain[i + 2, d : d + w], plain[i + 3, d : d + w]
        for p in range(linear.shape[0]):
            a, b = linear[p, d : d + w], squared[p, d : d + w]
            sum0, sum1, sum2, sum3 = zero, zero, zero, zero
            for e in range(w):
                sum0 += x0[e] * (a[e] + x0[e] * b[e])
                sum1 += x1[e] * (a[e] + x1[e] * b[e])
                sum2 += x2[e] * (a[e] + x2[e] * b[e])
                sum3 += x3[e] * (a[e] + x3[e] * b[e])
            part[p, i], part[p, i + 1], part[p, i + 2], part[p, i + 3] = sum0, sum1, sum2, sum3


@compiled
def _outer_few(plain, resp, sums, squares, begin, w, n):
    """Set sums and squares (P, w) to resp (P, n) x and resp x^2, of features from begin on."""
    P, last, end = resp.shape[0], resp.shape[0] - 1, begin + w
    sums[:] = 0
    squares[:] = 0
    for p in range(0, P - 1, 2):
        sums_p, sums_q, squares_p, squares_q = sums[p], sums[p + 1], squares[p], squares[p + 1]
        for i in range(0, n, 4):
            x0, x1 = plain[i, begin:end], plain[i + 1, begin:end]
            x2, x3 = plain[i + 2, begin:end], plain[i + 3, begin:end]
            p0, p1, p2, p3 = resp[p, i], resp[p, i + 1], resp[p, i + 2], resp[p, i + 3]
            q0, q1, q2, q3 = (
                resp[p + 1, i],
                resp[p + 1, i + 1],
                resp[p + 1, i + 2],
                resp[p + 1, i + 3],
            )
            for e in range(w):
                a, b, c, d = x0[e], x1[e], x2[e], x3[e]
                sums_p[e] += p0 * a + p1 * b + p2 * c + p3 * d
                sums_q[e] += q0 * a + q1 * b + q2 * c + q3 * d
                a, b, c, d = a * a, b * b, c * c, d * d
                squares_p[e] += p0 * a + p1 * b + p2 * c + p3 * d
                squares_q[e] += q0 * a + q1 * b + q2 * c + q3 * d
    if P % 2:
        sums_p, squares_p = sums[last], squares[last]
        for i in range(0, n, 4):
            x0, x1 = plain[i, begin:end], plain[i + 1, begin:end]
            x2, x3 = plain[i + 2, begin:end], plain[i + 3, begin:end]
            p0, p1, p2, p3 = (
                resp[P - 1, i],
                resp[P - 1, i + 1],
                resp[P - 1, i + 2],
                resp[P - 1, i + 3],
            )
            for e in range(w):
                a, b, c, d = p0 * x0[e], p1 * x1[e], p2 * x2[e], p3 * x3[e]
                sums_p[e] += a + b + c + d
                squares_p[e] += a * x0[e] + b * x1[e] + c * x2[e] + d * x3[e]


@compiled
def _inner(address, made, weights, part, d, w, n, beta):
    """Set part (P, n) to weights[:, d : d + w] made^T + beta part."""
    gemm(
        *(address, np.int32(YES), np.int32(NO), np.int32(n), np.int32(part.shape[0]), np.int32(w)),
        *(made.ctypes.data, np.int32(made.strides[0] // made.itemsize)),
        *(weights.ctypes.data + weights.itemsize * d, np.int32(weights.shape[1])),
        *(beta, part.ctypes.data, np.int32(part.shape[1])),
    )


@compiled
def _outer(address, made, resp, summed, sums, d, w, n):
    """Add resp (P, n) made (n, w) to sums[:, d : d + w]."""
    P = resp.shape[0]
    gemm(
        *(address, np.int32(NO), np.int32(NO), np.int32(w), np.int32(P), np.int32(n)),
        *(made.ctypes.data, np.int32(made.strides[0] // made.itemsize)),
        *(resp.ctypes.data, np.int32(resp.shape[1])),
        *(made.dtype.type(0), summed.ctypes.data, np.int32(summed.shape[1])),
    )
    _add(summed, sums, d, w)


@compiled
def _add(summed, sums, d, w):
    """Add the first w columns of summed to those of sums from column d on."""
    for p in range(sums.shape[0]):
        total, part = sums[p, d : d + w], summed[p]
        for e in range(w):
            total[e] += part[e]
