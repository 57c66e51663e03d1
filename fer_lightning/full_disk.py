"""A full disk, told as one readable line."""

import errno
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_lightning.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def full_disk_is_told(folder: Path) -> Iterator[None]:
    """Say so where a run ends because nothing more fits on the disk.

    Raises:
        InputError: It is full.
    """
    try:
        yield
    except Exception as error:
        if is_full(error):
            remedy = f"free some space and go on with resume={folder}"
            raise InputError(f"{folder}: the disk is full; {remedy}") from error
        raise


def leave_full_disks_to_the_run() -> None:
    """Keep logging, and the thread that writes for TensorBoard, from telling it with tracebacks."""
    logging.raiseExceptions = False

    def tell(failed: threading.ExceptHookArgs) -> None:
        if not is_full(failed.exc_value):
            threading.__excepthook__(failed)

    threading.excepthook = tell


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it comes from, is that of a full disk."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:  # one that is raised again may come from itself
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False
