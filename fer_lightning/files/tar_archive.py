"""The files inside a tar archive, packed by gzip or not, read from its beginning to its end."""

import gzip
import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fer_lightning.errors import InputError
from fer_lightning.files import archive_limits
from fer_lightning.files.archive_limits import (
    is_hidden,
    require_few,
    require_inside,
    require_little_expansion,
    require_readable,
)

TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz")
GZIP = b"\x1f\x8b"
BLOCK = tarfile.BLOCKSIZE
DAMAGE = (
    *(tarfile.TarError, zlib.error, EOFError, OSError, ValueError),
    *(LookupError, ArithmeticError, TypeError, RecursionError),
)


class TarArchive:
    """The files inside a tar archive.

    It is read once to learn its names. A file is found by reading on to it, or from the beginning
    again if it lies before the place that was reached.

    Raises:
        InputError: It is not a tar archive, or is cut off; one of its names leaves it; it holds a
            link or a device; or it would expand beyond all measure.
    """

    is_stream = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            self._tar = tarfile.TarFile(fileobj=_Bounded(path), encoding="utf-8")
            for n, member in enumerate(self._tar, 1):
                require_few(n, path)
                self._add(member)
            self._require_end()
        except InputError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"{path}: cannot be read ({reason})") from error
        except DAMAGE as error:
            raise InputError(f"{path}: not a tar archive, or a truncated one ({error})") from error

    def names(self) -> list[str]:
        return sorted(name for name in self._members if not any(map(is_hidden, name.split("/"))))

    def in_stored_order(self, names: Sequence[str]) -> list[str]:
        return sorted(names, key=lambda name: self._members[name].offset)

    def read(self, name: str) -> bytes:
        require_readable(self.path, name, self._members[name].size)
        with self.open(name) as file:
            return file.read()

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        try:
            file = self._tar.extractfile(self._members[name])
            assert file is not None  # it is neither a link nor a folder
            with file:
                yield file
        except InputError:
            raise
        except DAMAGE as error:
            raise InputError(f"{self.path}: {name}: damaged or truncated ({error})") from error

    def _add(self, member: tarfile.TarInfo) -> None:
        require_inside(self.path, member.name)
        if not (member.isdir() or member.isreg()) or member.issparse():
            raise InputError(f"{self.path}: {member.name}: must be a file or a folder, not a link")
        if member.size < 0:
            raise ValueError("a file has a negative size")
        if member.isreg():
            self._members[posixpath.normpath(member.name)] = member

    def _require_end(self) -> None:
        """Raise a `ValueError` unless a block of zeros ends the archive, and the file with it."""
        file = self._tar.fileobj
        assert file is not None
        file.seek(self._tar.offset)
        if file.read(BLOCK) != bytes(BLOCK):
            raise ValueError("its end is missing")
        while file.read(2**16):  # gzip tells damage at the end
            pass


class _Bounded(io.RawIOBase):
    """The bytes of a file, unpacked by gzip if need be, that raises before there are too many.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        packed = archive_limits.MAX_EXPANSION * path.stat().st_size
        self._most = min(archive_limits.MAX_STREAM_BYTES, max(archive_limits.SMALL_BYTES, packed))
        self._packed = path.open("rb")
        is_gzip = self._packed.read(len(GZIP)) == GZIP
        self._packed.seek(0)
        self._file = gzip.GzipFile(fileobj=self._packed) if is_gzip else self._packed

    def read(self, n: int = -1) -> bytes:
        """Return at most n bytes; headers that ask for all, or for more than a picture, do not."""
        if not 0 <= n <= archive_limits.MAX_READ_BYTES:
            raise ValueError(f"it asks for {n} bytes at once")
        content = self._file.read(n)
        self._require_modest(self._file.tell())
        return content

    def seek(self, position: int, whence: int = 0) -> int:
        """Go to a place, counted from the beginning."""
        self._require_modest(position)
        return self._file.seek(position, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
            self._packed.close()
        super().close()

    def _require_modest(self, position: int) -> None:
        if position <= self._most:
            return
        require_little_expansion(self._path, position)
        limit = archive_limits.MAX_STREAM_BYTES
        raise InputError(f"{self._path}: must expand to at most {limit} bytes, got {position}")
