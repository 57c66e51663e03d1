"""Responsibilities from log joint densities, as loops over points that compilers vectorise.

Rows are components, and neighbours in a row are points.
"""

import math

import numpy as np

from gmm.kernels import EVIDENCE, JOINT, LIKELIEST, RESPONSIBILITIES, SUMS_OF_LIKELIEST
from gmm.kernels.compiling import compiled, compiled_in_order

_LOG2_E = 1.4426950408889634
# ln 2 in two parts, of which the first leaves the product with an exponent exact (Cody & Waite).
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUNDING = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, in the last bits
_SMALLEST = -708.0  # exp of less is below the normal numbers
# Taylor's coefficients: on |r| < ln(2)/2 the rest is below 2^-57.
_C = tuple(1.0 / math.factorial(i) for i in range(14))


# Here order matters: rounding is done by adding and subtracting a large number.
@compiled_in_order
def exponentials(row, top, scratch, bits, n):
    """Set row to exp(row - top), and to 0 where that is below 1e-307.

    Args:
        row: (n,).
        top: (n,), at least as large as row.
        scratch: (n,).
        bits: scratch as int64.
        n: Number of points.
    """
    for i in range(n):
        v = max(row[i] - top[i], _SMALLEST)
        rounded = v * _LOG2_E + _ROUNDING
        scratch[i] = rounded
        k = rounded - _ROUNDING
        r = (v - k * _LN2_HIGH) - k * _LN2_LOW
        p = _C[13]
        p = p * r + _C[12]
        p = p * r + _C[11]
        p = p * r + _C[10]
        p = p * r + _C[9]
        p = p * r + _C[8]
        p = p * r + _C[7]
        p = p * r + _C[6]
        p = p * r + _C[5]
        p = p * r + _C[4]
        p = p * r + _C[3]
        p = p * r + _C[2]
        p = p * r + _C[1]
        row[i] = p * r + _C[0]
    for i in range(n):
        bits[i] = (bits[i] + 1023) << 52  # 2^k
    for i in range(n):
        e = row[i] * scratch[i]
        row[i] = e if e > 3.4e-308 else 0.0


@compiled
def logarithm_of_product(values, n):
    """Return the sum of the logarithms of values (n,) from 1 to 2^31, with few logarithms."""
    total = 0.0
    for begin in range(0, n, 32):
        product = 1.0
        for i in range(begin, min(n, begin + 32)):
            product *= values[i]
        total += np.log(product)
    return total


@compiled
def settle(joint, first, what, weights, start, n, evidence, entropy, before, room, bits, out):
    """Make weighted responsibilities of the log joint densities of n points.

    Args:
        joint: Log joint densities, (P, rows), and then what they are made to.
        first: Where a mixture's components begin, (M + 1,).
        what: SUMS or another of these.
        weights: Of all points, (N,), or of length 0 where all count once.
        start: Index of the first of the n points among all.
        n: Number of points, at most `rows`.
        evidence: Sums of log p(x), (M,), added to; with SUMS_OF_LIKELIEST of the largest log joint.
        entropy: Sums of r log r, (M,), added to; of length 0 where they are not wanted.
        before: Room for (P, rows) numbers where entropies are wanted.
        room: Room for (4, rows) numbers.
        bits: Its first row as int64.
        out: What is asked for, (P, N) for JOINT and RESPONSIBILITIES, (M, N) for EVIDENCE and
            LIKELIEST.
    """
    scratch, top, total, share = room[0], room[1], room[2], room[3]
    for m in range(first.shape[0] - 1):
        one, last = first[m], first[m + 1]
        if what == JOINT:
            for p in range(one, last):
                for i in range(n):
                    out[p, start + i] = joint[p, i]
            continue
        for i in range(n):
            top[i] = joint[one, i]
            total[i] = 0.0
        for p in range(one + 1, last):
            for i in range(n):
                top[i] = max(top[i], joint[p, i])
        if what in (LIKELIEST, SUMS_OF_LIKELIEST):
            _one_hot(joint, top, one, last, n)
            for i in range(n):
                total[i] = 1.0
        else:
            for p in range(one, last):
                if entropy.shape[0]:
                    for i in range(n):
                        before[p, i] = joint[p, i] - top[i]
                exponentials(joint[p], top, scratch, bits, n)
                for i in range(n):
                    total[i] += joint[p, i]
        if what == EVIDENCE:
            for i in range(n):
                out[m, start + i] = top[i] + np.log(total[i])
            continue
        if what == LIKELIEST:
            for p in range(one, last):
                for i in range(n):
                    if joint[p, i] == 1.0:
                        out[m, start + i] = p - one
            continue
        if weights.shape[0]:
            for i in range(n):
                w = weights[start + i]
                evidence[m] += w * (top[i] + np.log(total[i]))
                share[i] = w / total[i]
        else:
            added = 0.0
            for i in range(n):
                added += top[i]
                share[i] = 1.0 / total[i]
            evidence[m] += added + logarithm_of_product(total, n)
        if entropy.shape[0]:
            for i in range(n):
                scratch[i] = np.log(total[i])
        for p in range(one, last):
            for i in range(n):
                joint[p, i] *= share[i]
            if entropy.shape[0]:
                for i in range(n):
                    if joint[p, i] > 0.0:
                        entropy[m] += joint[p, i] * (before[p, i] - scratch[i])
        if what == RESPONSIBILITIES:
            for p in range(one, last):
                for i in range(n):
                    out[p, start + i] = joint[p, i]


@compiled
def _one_hot(joint, top, one, last, n):
    """Set joint to 1 where it is the first to reach the top, and to 0 elsewhere."""
    for i in range(n):
        found = False
        for p in range(one, last):
            is_first = joint[p, i] == top[i] and not found
            found = found or is_first
            joint[p, i] = 1.0 if is_first else 0.0
