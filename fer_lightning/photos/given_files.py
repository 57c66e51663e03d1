"""The files that a user names: pictures and videos, alone or below folders."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from fer_lightning.errors import InputError

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp")


def require_file(path: Path) -> None:
    """Raise an `InputError` unless there is a file that ends: no folder, pipe or device."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file or folder") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: must be a file or a folder, got a pipe or a device")


def is_video(path: Path) -> bool:
    """Return whether a file is called as videos are."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def named_files(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """Yield the files below a folder with one of these suffixes, in the order of their names.

    Links are followed; a folder that is reached twice, as by a link to a folder above it, is read
    once. Hidden files and folders are left out.
    """
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        found = Path(root).stat()
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and name.lower().endswith(tuple(suffixes)):
                yield Path(root, name)
