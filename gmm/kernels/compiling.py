"""How loops are compiled: to run beside Python, kept on disk, with sums in any order."""

from typing import Any

from numba import njit

# No flag lets the compiler assume that numbers are finite.
_ANY_ORDER = {"contract", "reassoc", "nsz", "arcp"}
_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


def compiled(function: Any) -> Any:
    """Return a function that numba compiles for the types of its first call."""
    return njit(**_OPTIONS, fastmath=_ANY_ORDER)(function)


def compiled_in_order(function: Any) -> Any:
    """Return what `compiled` does, with sums in the order in which they are written."""
    return njit(**_OPTIONS, fastmath={"contract"})(function)
