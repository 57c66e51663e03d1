"""Files below a folder or inside a zip archive, read the same way."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Protocol

from fer_lightning.errors import InputError

MAX_FILE_BYTES = 2**30


class FileTree(Protocol):
    """Files with names such as `train/angry/1.jpg`, relative to the top of the tree."""

    path: Path

    def names(self) -> list[str]:
        """Names of all files, sorted; hidden ones and those that macOS adds are left out."""

    def read(self, name: str) -> bytes:
        """Content of one file.

        Raises:
            InputError: It cannot be read.
        """


def open_tree(path: Path) -> FileTree:
    """The tree at a folder or a zip archive, which is never unpacked.

    Raises:
        InputError: There is nothing there, or it is neither a folder nor a zip archive.
    """
    if path.is_dir():
        return Folder(path)
    return ZipArchive(path)


class Folder:
    """The files below a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        found = []
        for root, folders, files in os.walk(self.path):
            folders[:] = [folder for folder in folders if not _is_hidden(folder)]
            below = Path(root).relative_to(self.path)
            found += [(below / file).as_posix() for file in files if not _is_hidden(file)]
        return sorted(found)

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise InputError(f"{self.path / name}: cannot be read ({error.strerror})") from error


class ZipArchive:
    """The files inside a zip archive.

    Raises:
        InputError: It is not a zip archive, or one of its names leaves the archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise InputError(f"{path}: not a zip archive, or a truncated one ({error})") from error
        for name in self._zip.namelist():
            self._check(name)

    def names(self) -> list[str]:
        return sorted(
            name
            for name in self._zip.namelist()
            if not name.endswith("/") and not any(map(_is_hidden, name.split("/")))
        )

    def read(self, name: str) -> bytes:
        where = f"{self.path}: {name}"
        try:
            size = self._zip.getinfo(name).file_size
            if size > MAX_FILE_BYTES:
                raise InputError(f"{where}: must have at most {MAX_FILE_BYTES} bytes, got {size}")
            return self._zip.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise InputError(f"{where}: damaged or truncated ({error})") from error
        except RuntimeError as error:
            raise InputError(f"{where}: cannot be read ({error})") from error  # encrypted

    def _check(self, name: str) -> None:
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":":
            raise InputError(f"{self.path}: names in the archive must stay inside it, got {name!r}")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
