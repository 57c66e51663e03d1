"""One pass of EM over points of up to hundreds of features, in float64.

The log density of a component is linear in sufficient statistics of a point, its features, 1 and
products of features: log(pi_k N(x)) = T(x) . eta_k (Bishop 2006, eq. 2.194), and what an M-step
needs are sums of T(x) weighted by responsibilities. Both are matrix products. The statistics of
a few dozen points are made at a time, and stay in the cache until both products are done; nothing
is kept of a point.
"""

import numpy as np

from gmm.kernels import LENGTH, SQUARES, SUMS, SUMS_OF_LIKELIEST
from gmm.kernels.blas import NO, YES, gemm
from gmm.kernels.compiling import compiled
from gmm.kernels.softmax import settle

_CACHE = 80_000  # numbers that stay in the cache of a core
_PANEL = 512  # products made at a time
# Statistics whose sums are one product: of more, few components would leave BLAS slow.
_AT_ONCE = 64


@compiled
def sweep(
    x,
    weights,
    center,
    products,
    eta,
    first,
    what,
    sums,
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
        weights: Of the points, (N,), or of length 0 where all count once.
        center: What the parameters are relative to, (D,).
        products: See `n_statistics`.
        eta: Natural parameters of all components, (P, F).
        first: Where a mixture's components begin, (M + 1,).
        what: SUMS or another of these.
        sums: Sums of the statistics, (P, F), added to.
        evidence: Sums of log p(x), (M,), added to; with SUMS_OF_LIKELIEST of the largest log joint.
        entropy: Sums of r log r, (M,), added to; of length 0 where they are not wanted.
        out: (P, N) for JOINT and RESPONSIBILITIES, (M, N) for EVIDENCE and LIKELIEST.
        address: From `gemm_address`.
        begin: First row.
        end: Row after the last.
    """
    D, P, F = x.shape[1], eta.shape[0], eta.shape[1]
    n_products = F - D - 1
    n_panel = min(n_products, max(_PANEL, D))
    rows = 8 * min(64, max(4, _CACHE // (D + P + n_panel + 8) // 8))
    plain, panel = np.empty((D + 1, rows)), np.empty((max(n_panel, 1), rows))
    joint = np.empty((P, rows))
    before = np.empty((P if entropy.shape[0] else 0, rows))
    rows_of = np.empty((4, rows))
    bits = rows_of[0].view(np.int64)
    plain[D, :] = 1.0
    whole = n_panel == n_products
    for start in range(begin, end, rows):
        n = min(rows, end - start)
        taken = x[start : start + n]
        for d in range(D):
            c = center[d]
            for i in range(n):
                plain[d, i] = taken[i, d] - c
        _by_components(address, plain, eta, 0, D + 1, joint, n, 0.0)
        row, f = 0, D + 1
        while f < F:
            row, made = _make(plain, panel, products, row, D, n)
            _by_components(address, panel, eta, f, made, joint, n, 1.0)
            f += made

        settle(joint, first, what, weights, start, n, evidence, entropy, before, rows_of, bits, out)
        if what != SUMS and what != SUMS_OF_LIKELIEST:
            continue
        _by_points(address, plain, joint, sums, 0, D + 1, n)
        row, f = 0, D + 1
        while f < F:
            if whole:
                made = n_products
            else:
                row, made = _make(plain, panel, products, row, D, n)
            _by_points(address, panel, joint, sums, f, made, n)
            f += made


@compiled
def _make(plain, panel, products, row, D, n):
    """Make the next products, from those of feature `row` on; return the next row, and how many."""
    if products == SQUARES:
        for d in range(D):
            for i in range(n):
                panel[d, i] = plain[d, i] * plain[d, i]
        return D, D
    if products == LENGTH:
        for i in range(n):
            panel[0, i] = 0.0
        for d in range(D):
            for i in range(n):
                panel[0, i] += plain[d, i] * plain[d, i]
        return D, 1
    made = 0
    while row < D and made + D - row <= panel.shape[0]:
        for e in range(row, D):
            for i in range(n):
                panel[made, i] = plain[row, i] * plain[e, i]
            made += 1
        row += 1
    return row, made


@compiled
def _by_components(address, made, eta, f, n_made, joint, n, beta):
    """Set joint (P, n) to eta[:, f : f + n_made] made + beta joint."""
    rows, F = np.int32(made.shape[1]), np.int32(eta.shape[1])
    gemm(
        *(address, np.int32(NO), np.int32(NO), np.int32(n), np.int32(eta.shape[0])),
        *(np.int32(n_made), made.ctypes.data, rows, eta.ctypes.data + 8 * f, F),
        *(beta, joint.ctypes.data, rows),
    )


@compiled
def _by_points(address, made, joint, sums, f, n_made, n):
    """Add joint (P, n) made^T (n, n_made) to sums[:, f : f + n_made]."""
    rows, F = np.int32(made.shape[1]), np.int32(sums.shape[1])
    for g in range(0, n_made, _AT_ONCE):
        m = np.int32(min(_AT_ONCE, n_made - g))
        gemm(
            *(address, np.int32(YES), np.int32(NO), m, np.int32(sums.shape[0]), np.int32(n)),
            *(made[g:].ctypes.data, rows, joint.ctypes.data, rows),
            *(1.0, sums.ctypes.data + 8 * (f + g), F),
        )
