"""Points that are too many for the memory: a folder of .npy and .npz files, read piece by piece."""

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

DTYPES = ("uint8", "int16", "int32", "int64", "float32", "float64")
# What a damaged file makes zipfile, zlib and NumPy's reader of headers raise, beside ValueError.
UNREADABLE = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError),
    *(RuntimeError, SyntaxError, tokenize.TokenError, TypeError),
)
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class _Part:
    """An array (n, ...) in a file, in the order of its rows."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    start: int

    @property
    def row_bytes(self) -> int:
        return prod(self.shape[1:]) * self.dtype.itemsize

    def rows(self, first: int, last: int, batch_size: int) -> Iterator[np.ndarray]:
        """Yield the rows from first up to last as (n, D) arrays in the machine's byte order.

        The row at `last` is not among them.
        """
        with _array_in(self.path) as (file, _):
            file.seek(self.start + first * self.row_bytes)
            for row in range(first, last, batch_size):
                n = min(batch_size, last - row)
                content = file.read(n * self.row_bytes)
                if len(content) < n * self.row_bytes:
                    raise ValueError(f"{self.path}: must hold {self.shape[0]} rows, got fewer")
                x = np.frombuffer(content, self.dtype).reshape(n, -1)
                yield x.astype(self.dtype.newbyteorder("="))


class Shards:
    """Points in the parts of a folder, in the order of their names, as batches for EM.

    A part is a .npy file, or a .npz file of one array, of shape (n, ...): a point is a row,
    flattened. No more than a batch is in memory at a time, of whichever kind of part.

    Args:
        folder: Where the parts lie.
        batch_size: Points read at a time.

    Attributes:
        n_points: Number of points, N.
        n_features: Number of features of a point, D.
        dtype: Type of the numbers.

    Raises:
        ValueError: A part cannot be read, or is not like the others.
    """

    def __init__(self, folder: str | Path, batch_size: int = 4096) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        paths = sorted(p for p in Path(folder).glob("*") if p.suffix in (".npy", ".npz"))
        if not paths:
            raise ValueError(f"{folder}: must be a folder with .npy or .npz files, got none")
        self._parts = [_part(path) for path in paths]
        first = self._parts[0]
        for part in self._parts:
            if (part.shape[1:], part.dtype) != (first.shape[1:], first.dtype):
                raise ValueError(
                    f"{part.path}: must hold rows of shape {first.shape[1:]} and {first.dtype}, "
                    f"as {first.path.name}, got {part.shape[1:]} and {part.dtype}"
                )
        self.n_points = sum(part.shape[0] for part in self._parts)
        self.n_features = prod(first.shape[1:])
        self.dtype = first.dtype.newbyteorder("=")
        self._rows = range(self.n_points)

    def of_process(self, rank: int, n_processes: int) -> "Shards":
        """Return the same shards, restricted to the part that one of several processes reads."""
        N, other = self.n_points, Shards.__new__(Shards)
        other.__dict__.update(self.__dict__)
        other._rows = range(N * rank // n_processes, N * (rank + 1) // n_processes)
        return other

    def __iter__(self) -> Iterator[Tensor]:
        """Yield batches of points, (n, D)."""
        start = 0
        for part in self._parts:
            first = max(self._rows.start - start, 0)
            last = min(self._rows.stop - start, part.shape[0])
            if first < last:
                yield from map(torch.from_numpy, part.rows(first, last, self.batch_size))
            start += part.shape[0]


def _part(path: Path) -> _Part:
    with _array_in(path) as (file, n_bytes):
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"version {version} is not known")
        shape, by_columns, dtype = HEADERS[version](file)
        part = _Part(path, shape, dtype, file.tell())
        n_rows = shape[0] if shape else 0
        if dtype.newbyteorder("=").name not in DTYPES:
            raise ValueError(f"must hold one of {', '.join(DTYPES)}, got {dtype}")
        if n_rows < 1 or prod(shape) < 1 or (by_columns and len(shape) > 1):
            order = "by columns" if by_columns else "by rows"
            raise ValueError(f"must hold points by rows, got shape {shape} {order}")
        if part.start + n_rows * part.row_bytes != n_bytes:
            raise ValueError(f"must hold {n_rows} rows, got a file of another size")
    return part


@contextmanager
def _array_in(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open the array in a .npy or .npz file; yield the open file and its size in bytes.

    A .npz file is a zip archive of .npy files.
    """
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file:
                yield file, path.stat().st_size
            return
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != 1:
                raise ValueError(f"must hold one array, got {len(members)}")
            with archive.open(members[0]) as member:
                yield member, members[0].file_size
    except UNREADABLE as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    except ValueError as error:
        told = str(error)
        raise ValueError(told if str(path) in told else f"{path}: {told}") from error
