"""Inverses of the Cholesky factors of large matrices, by LAPACK, side by side on the cores.

The routines are those that SciPy publishes for Cython; its functions for Python keep the
interpreter's lock.
"""

import ctypes
from functools import cache, partial
from typing import Any

import numpy as np
from numba.extending import get_cython_function_address

from gmm.kernels.threads import n_threads, one_thread_each, run

Array = np.ndarray[Any, Any]

_INT, _REAL = ctypes.POINTER(ctypes.c_int), ctypes.c_void_p
_FACTOR = ctypes.CFUNCTYPE(None, ctypes.c_char_p, _INT, _REAL, _INT, _INT)
_INVERT = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, _INT, _REAL, _INT, _INT)


def invert_roots(matrices: Array) -> None:
    """Set matrices S (n, D, D), float64, to upper triangular U, U U^T = S^-1.

    Those that are not positive definite are set to NaN.
    """
    n_parts = min(n_threads(), len(matrices))
    with one_thread_each():
        run([partial(_invert_each, matrices[i::n_parts]) for i in range(n_parts)])


def _invert_each(matrices: Array) -> None:
    factor, invert = _routines()
    for matrix in matrices:
        D, failed = ctypes.c_int(len(matrix)), ctypes.c_int()
        # LAPACK reads by columns: what it has for lower triangles are upper ones here.
        factor(b"L", D, matrix.ctypes.data, D, failed)
        if failed.value == 0:
            invert(b"L", b"N", D, matrix.ctypes.data, D, failed)
        if failed.value != 0:
            matrix[:] = np.nan
            continue
        for d, row in enumerate(matrix):
            row[:d] = 0


@cache
def _routines() -> tuple[Any, Any]:
    def routine(name: str, kind: Any) -> Any:
        return kind(get_cython_function_address("scipy.linalg.cython_lapack", name))

    return routine("dpotrf", _FACTOR), routine("dtrtri", _INVERT)
