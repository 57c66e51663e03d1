"""Files and folders that are written whole or not at all, and a disk that is full."""

import csv
import errno
import functools
import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fer_lightning.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to the given one if the block ends without error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        sync(part)
        part.chmod(0o666 & ~_umask())  # mkstemp's are private
        part.replace(path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces the given one if the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield part
        part.chmod(0o777 & ~_umask())
        if path.exists():
            path.replace(part / ".old")
        part.replace(path)
        sync(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(path / ".old", ignore_errors=True)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a csv file with a header row."""
    with whole_file(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write numbers, strings, lists and dicts as JSON, which cannot hold NaN and infinity."""
    with whole_file(path) as part:
        part.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Flush a file, or the list of files in a folder, to the disk, to survive a power loss."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def full_disk_is_told(folder: Path) -> Iterator[None]:
    """Turn an error that a full disk causes inside this block into a readable `InputError`.

    Raises:
        InputError: The disk is full.
    """
    try:
        yield
    except Exception as error:
        if is_full(error):
            remedy = f"free some space and go on with resume={folder}"
            raise InputError(f"{folder}: the disk is full; {remedy}") from error
        raise


def leave_full_disks_to_the_run() -> None:
    """Keep logging and TensorBoard's writer thread from printing tracebacks of a full disk."""
    logging.raiseExceptions = False

    def tell(failed: threading.ExceptHookArgs) -> None:
        if not is_full(failed.exc_value):
            threading.__excepthook__(failed)

    threading.excepthook = tell


def is_full(error: BaseException | None) -> bool:
    """Return whether an error, or an error that led to it, comes from a full disk."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:  # one that is raised again may come from itself
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


@functools.cache
def new_folder(path: str) -> str:
    """Create a new folder and return its path, with -2, -3, ... appended if the name is taken."""
    for i in range(1, 10_000):
        folder = Path(path if i == 1 else f"{path}-{i}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return str(folder)
    raise InputError(f"{path}: there are ten thousand folders of this name already")
