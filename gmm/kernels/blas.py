"""Products of BLAS, called from compiled code on parts of arrays.

NumPy's products in numba take whole contiguous arrays. The routines are those that SciPy publishes
for Cython. Compiled functions get their addresses as numbers, so that they can be kept on disk.
"""

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

NO, YES = 78, 84  # "N" and "T": whether a factor is transposed


@cache
def gemm_address(is_double: bool) -> int:
    """Return the address of dgemm or sgemm."""
    name = "dgemm" if is_double else "sgemm"
    address: int = get_cython_function_address("scipy.linalg.cython_blas", name)
    return address


@intrinsic
def gemm(
    typing_context: Any,
    address: Any,
    transposes_a: Any,
    transposes_b: Any,
    m: Any,
    n: Any,
    k: Any,
    a: Any,
    lda: Any,
    b: Any,
    ldb: Any,
    beta: Any,
    c: Any,
    ldc: Any,
) -> Any:
    """Set C (m, n) to op(A) (m, k) op(B) (k, n) + beta C, all by columns.

    Args:
        address: From `gemm_address`, for the type of beta.
        transposes_a: NO or YES.
        transposes_b: The same.
        a: Address of the first number, as b and c.
        lda: Numbers from a column to the next, as ldb and ldc.
    """
    real, size, place = beta, types.int32, types.intp
    signature = types.void(
        *(place, size, size, size, size, size, place, size, place, size, real, place, size)
    )

    def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
        address, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc = values
        number = ir.FloatType() if real is types.float32 else ir.DoubleType()

        def slot(value: Any) -> Any:
            return cgutils.alloca_once_value(builder, value)

        letters = [slot(builder.trunc(t, ir.IntType(8))) for t in (ta, tb)]
        alpha = slot(ir.Constant(number, 1.0))
        a, b, c = (builder.inttoptr(v, number.as_pointer()) for v in (a, b, c))
        sizes = [slot(v) for v in (m, n, k)]
        factors = (alpha, a, slot(lda), b, slot(ldb), slot(beta), c, slot(ldc))
        given = [*letters, *sizes, *factors]
        routine = ir.FunctionType(ir.VoidType(), [v.type for v in given])
        builder.call(builder.inttoptr(address, routine.as_pointer()), given)
        return context.get_dummy_value()

    return signature, generate
