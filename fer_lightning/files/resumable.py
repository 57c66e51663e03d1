"""Files from which a run goes on: in two generations, or growing and cut back."""

import logging
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from fer_lightning.errors import InputError, one_line
from fer_lightning.files.writing import sync, whole_file

T = TypeVar("T")

log = logging.getLogger(__name__)


@contextmanager
def new_generation(path: Path) -> Iterator[Path]:
    """Yield a temporary path as `whole_file` does, but keep the replaced file beside it."""
    with whole_file(path) as part:
        yield part
        if path.exists():
            path.replace(one_before(path))


def one_before(path: Path) -> Path:
    """Return the path of the previous generation of a file: `last-1.ckpt` of `last.ckpt`."""
    return path.with_stem(f"{path.stem}-1")


def whole_generations(path: Path, made: Callable[[Path, Any], T]) -> list[T]:
    """Read the undamaged generations of a file; return what `made` returns for each, newest first.

    A damaged one is named in a warning and left out.

    Args:
        path: The newest generation.
        made: Called with the path of a file and its content; an error there is damage too.
    """
    found = []
    for file in (path, one_before(path)):
        if file.exists():
            try:
                found.append(made(file, _read(file)))
            except Exception as error:  # a damaged file fails in as many ways as it has bytes
                reason = one_line(error)[:100] or type(error).__name__
                log.warning("%s: damaged (%s); left out", file, reason)
    return found


def remove_generations(path: Path) -> None:
    """Remove both generations of a file."""
    for file in (path, one_before(path)):
        file.unlink(missing_ok=True)


def _read(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:  # torch.load does not compare the checksums
        wrong = archive.testzip()
    if wrong:
        raise ValueError(f"the checksum of {wrong} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


class GrowingFiles:
    """Files in a folder to which a run only appends.

    Args:
        folder: The folder.
        patterns: Patterns of their names.
    """

    def __init__(self, folder: Path, patterns: Sequence[str]) -> None:
        self.folder, self.patterns = folder, patterns

    def sizes(self) -> dict[str, int]:
        """Flush the files to the disk, and return the size of each in bytes, by relative path."""
        found = sorted(self._found())
        for path in found:
            sync(path)
        return {self._name(path): path.stat().st_size for path in found}

    def cut(self, sizes: dict[str, int]) -> None:
        """Cut the files back to the sizes that they had, and remove files that have no size here.

        Raises:
            InputError: One has become shorter than it was, or is gone.
        """
        found = self._found()
        for path in found:
            if path.stat().st_size < sizes.get(self._name(path), 0):
                raise InputError(f"{path}: damaged (it is shorter than its checkpoint says)")
        missing = sizes.keys() - set(map(self._name, found))
        if missing:
            raise InputError(f"{self.folder / min(missing)}: no longer there")
        for path in found:
            if self._name(path) in sizes:
                os.truncate(path, sizes[self._name(path)])
            else:
                path.unlink()

    def remove(self) -> None:
        """Remove all of the files."""
        self.cut({})

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _found(self) -> set[Path]:
        return {path for pattern in self.patterns for path in self.folder.glob(pattern)}
