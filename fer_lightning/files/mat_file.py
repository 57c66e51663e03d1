"""Arrays of numbers in a MATLAB file, up to a size that is known beforehand."""

import struct
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from fer_lightning.errors import InputError

NUMERIC = (
    *("double", "single", "logical"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
HEADER_BYTES = 128
COMPRESSED = 15  # the type of a compressed element
PART = 2**20


def read_mat(path: Path, names: Sequence[str], max_bytes: int) -> Mapping[str, Any]:
    """Return the named arrays that the file has.

    Args:
        path: A file of MATLAB's versions 5 to 7.2.
        names: Names of the arrays; cells, structs, objects and functions are refused.
        max_bytes: The largest size of the file, and of all that it expands to.

    Raises:
        InputError: It is of another version, larger, or one of the arrays is not of numbers.
        Exception: It is damaged; SciPy raises many kinds.
    """
    from scipy.io import matlab  # only files of this kind need to wait for it

    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("error")  # of variables that occur twice or cannot be read
        if matlab.matfile_version(file)[0] != 1:
            raise InputError(f"{path}: must be a .mat file of version 5 to 7.2")
        _require_modest(file, path, max_bytes)
        file.seek(0)
        for name, _, kind in matlab.whosmat(file):
            if name in names and kind not in NUMERIC:
                raise InputError(f"{path}: {name} must be an array of numbers, got {kind}")
        file.seek(0)
        return matlab.loadmat(file, variable_names=names)


def _require_modest(file: IO[bytes], path: Path, max_bytes: int) -> None:
    """Raise an `InputError` if the file is too large, packed or expanded."""
    size = path.stat().st_size
    too_large = f"{path}: must have at most {max_bytes} bytes, packed and expanded"
    if size > max_bytes:
        raise InputError(too_large)
    file.seek(HEADER_BYTES - 2)
    order = "<" if file.read(2) == b"IM" else ">"
    total = 0
    while len(tag := file.read(8)) == 8:
        kind, n_bytes = struct.unpack(f"{order}II", tag)
        if n_bytes > size - file.tell():
            raise InputError(f"{path}: not a readable mat file, or a truncated one")
        content = file.read(n_bytes)
        total += _expanded(content, max_bytes - total) if kind == COMPRESSED else n_bytes
        if total > max_bytes:
            raise InputError(too_large)


def _expanded(content: bytes, limit: int) -> int:
    """Return how many bytes zlib data expands to; stop counting just above the limit."""
    decoder = zlib.decompressobj()
    total = len(decoder.decompress(content, PART))
    while total <= limit and (part := decoder.decompress(decoder.unconsumed_tail, PART)):
        total += len(part)
    return total
