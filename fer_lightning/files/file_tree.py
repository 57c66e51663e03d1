"""Files below a folder or inside an archive, read the same way."""

import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

from fer_lightning.errors import InputError
from fer_lightning.files import archive_limits
from fer_lightning.files.archive_limits import (
    is_hidden,
    require_few,
    require_inside,
    require_little_expansion,
    require_readable,
)
from fer_lightning.files.reading import read_bytes
from fer_lightning.files.tar_archive import TAR_SUFFIXES, TarArchive

DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError)


class FileTree(Protocol):
    """Files with names such as `train/angry/1.jpg`, relative to the top of the tree."""

    path: Path
    is_stream: bool  # whether it is read from its beginning only, so that order matters

    def names(self) -> list[str]:
        """Return the sorted names of all files, without hidden files and files that macOS adds."""

    def in_stored_order(self, names: Sequence[str]) -> list[str]:
        """Return names of files in the order in which they are read the fastest."""

    def read(self, name: str) -> bytes:
        """Return the content of one file of at most 64 MiB.

        Raises:
            InputError: It cannot be read, or is larger.
        """

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open one file to be read part by part.

        Raises:
            InputError: It cannot be read.
        """


def open_tree(path: Path) -> FileTree:
    """Return the files of a folder, a zip or a tar archive as a tree; archives are never unpacked.

    Raises:
        InputError: There is nothing there, or it is none of these.
    """
    if path.is_dir():
        return Folder(path)
    if path.name.lower().endswith(TAR_SUFFIXES):
        return TarArchive(path)
    return ZipArchive(path)


class Folder:
    """The files below a folder; `names` refuses links that lead out of it, pipes and devices."""

    is_stream = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def in_stored_order(self, names: Sequence[str]) -> list[str]:
        return list(names)

    def names(self) -> list[str]:
        found = []
        top = self.path.resolve()
        for root, folders, files in os.walk(self.path):
            folders[:] = [folder for folder in folders if not is_hidden(folder)]
            files = [file for file in files if not is_hidden(file)]
            for name in (*folders, *files):
                _require_ordinary(top, Path(root, name))
            below = Path(root).relative_to(self.path)
            found += [(below / file).as_posix() for file in files]
        return sorted(found)

    def read(self, name: str) -> bytes:
        with self._readable(name) as path:
            return read_bytes(path, archive_limits.MAX_READ_BYTES)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with self._readable(name) as path, path.open("rb") as file:
            yield file

    @contextmanager
    def _readable(self, name: str) -> Iterator[Path]:
        try:
            yield self.path / name
        except OSError as error:
            raise InputError(f"{self.path / name}: cannot be read ({error.strerror})") from error


def _require_ordinary(top: Path, path: Path) -> None:
    """Raise an `InputError` for a link out of the folder, a pipe or a device."""
    if path.is_symlink() and not path.resolve().is_relative_to(top):
        raise InputError(f"{path}: links must stay inside {top}; copy what it stands for")
    if stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{path}: must be a file or a folder")


class ZipArchive:
    """The files inside a zip archive.

    Raises:
        InputError: It is not a zip archive, one of its names leaves the archive, or it would expand
            beyond all measure.
    """

    is_stream = False

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
        except (*DAMAGE, ValueError, NotImplementedError) as error:
            raise InputError(f"{path}: not a zip archive, or a truncated one ({error})") from error
        require_modest(self._zip, path, archive_limits.MAX_STREAM_BYTES)
        for name in self._zip.namelist():
            require_inside(path, name)

    def in_stored_order(self, names: Sequence[str]) -> list[str]:
        return list(names)

    def names(self) -> list[str]:
        return sorted(
            name
            for name in self._zip.namelist()
            if not name.endswith("/") and not any(map(is_hidden, name.split("/")))
        )

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            content = file.read(archive_limits.MAX_READ_BYTES + 1)
        require_readable(self.path, name, len(content))
        return content

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        where = f"{self.path}: {name}"
        try:
            with self._zip.open(name) as file:
                yield file
        except (*DAMAGE, NotImplementedError) as error:
            raise InputError(f"{where}: damaged or truncated ({error})") from error
        except RuntimeError as error:
            raise InputError(f"{where}: cannot be read ({error})") from error  # encrypted


def require_modest(archive: zipfile.ZipFile, path: Path, max_bytes: int) -> None:
    """Raise an `InputError` if reading an archive could fill the memory or take for ever.

    Args:
        archive: The archive; no more bytes are read of a member than the archive declares.
        path: Its name for the message.
        max_bytes: The most that all members may have together.
    """
    members = archive.infolist()
    require_few(len(members), path)
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise InputError(f"{path}: must expand to at most {max_bytes} bytes, got {total}")
    require_little_expansion(path, total)
