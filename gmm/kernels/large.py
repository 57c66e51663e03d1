"""One pass of EM over points of a hundred features and more, with full covariances.

Roots and products of two features are larger than a cache here, and those of all components larger
than the points: threads share one array of each. Points are whitened by each component and their
products are about each component's own mean, as in `whitened`; of triangular and of symmetric
matrices only one half is worked on.
"""

import numpy as np

from gmm.kernels.blas import NO, YES, gemm
from gmm.kernels.compiling import compiled

_TILE = 128  # columns of a triangle at a time: half a tile's square is done in vain


@compiled
def log_joint(x, start, center, roots, means, constants, made, joint, address, begin, end):
    """Set joint to the log joint densities of points with all components.

    Args:
        x: Points, (N, D), float32 or float64.
        start: The first of the points that there is room for.
        center: What means are relative to, (D,).
        roots: Upper triangular U of each component, U U^T = Sigma^-1, (P, D, D).
        means: (P, D).
        constants: Log joint density of each component at its mean, (P,).
        made: Room, (rows, D).
        joint: (P, end - begin).
        address: From `gemm_address`, of float64.
        begin: First row, counted from start.
        end: Row after the last.
    """
    (P, D), n = means.shape, end - begin
    white = np.empty((min(_TILE, D), n))
    size, many = np.int32(D), np.int32(n)
    for p in range(P):
        mean, length = means[p], joint[p]
        for i in range(n):
            row, new = x[start + begin + i], made[begin + i]
            for d in range(D):
                new[d] = row[d] - center[d] - mean[d]
            length[i] = constants[p]
        for left in range(0, D, _TILE):
            right = min(D, left + _TILE)
            gemm(
                *(address, np.int32(YES), np.int32(YES), many, np.int32(right - left)),
                *(np.int32(right), made[begin:].ctypes.data, size),
                *(roots[p].ctypes.data + 8 * left, size, 0.0, white.ctypes.data, many),
            )
            for d in range(right - left):
                for i in range(n):
                    length[i] -= 0.5 * (white[d, i] * white[d, i])


@compiled
def scale(x, start, center, mean, rows, roots, made, begin, end):
    """Set rows of made to x - mu times the roots of their responsibilities.

    Args:
        x: See `log_joint`, as for start and center.
        mean: Of a component, (D,).
        rows: Those of x, counted from start, (n,).
        roots: Of their responsibilities, (n,).
        made: (n, D) or larger.
        begin: First of the n.
        end: The one after the last.
    """
    for i in range(begin, end):
        row, new, root = x[start + rows[i]], made[i], roots[i]
        for d in range(made.shape[1]):
            new[d] = root * (row[d] - center[d] - mean[d])


@compiled
def add_products(made, roots, shift, products, address, begin, end):
    """Add sums over points to some rows of a component's lower triangle.

    Args:
        made: From `scale`, (n, D) or larger.
        roots: Of the responsibilities, (n,).
        shift: Sums of x - mu weighted by responsibilities, (D,).
        products: Sums of the products of its features, (D, D).
        address: From `gemm_address`, of float64.
        begin: First row.
        end: Row after the last.
    """
    n, D = roots.shape[0], made.shape[1]
    size = np.int32(D)
    for i in range(n):
        root, row = roots[i], made[i]
        for d in range(begin, end):
            shift[d] += root * row[d]
    for left in range(begin, end, _TILE):
        right = min(end, left + _TILE)
        gemm(
            *(address, np.int32(NO), np.int32(YES), np.int32(right), np.int32(right - left)),
            *(np.int32(n), made.ctypes.data, size, made.ctypes.data + 8 * left, size),
            *(1.0, products.ctypes.data + 8 * left * D, size),
        )


@compiled
def mirror(products):
    """Set the upper triangles of (P, D, D) to the lower ones."""
    D = products.shape[1]
    for p in range(products.shape[0]):
        square = products[p]
        for top in range(0, D, _TILE):
            for left in range(0, top + 1, _TILE):
                for d in range(top, min(D, top + _TILE)):
                    for e in range(left, min(d, left + _TILE)):
                        square[e, d] = square[d, e]
