"""A file of tensors in two generations, so that a whole one is there whatever happens."""

import logging
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from fer_lightning.atomic import whole_file
from fer_lightning.errors import one_line

T = TypeVar("T")

log = logging.getLogger(__name__)


@contextmanager
def new_generation(path: Path) -> Iterator[Path]:
    """A temporary path as `whole_file` gives it; what the file held before stays beside it."""
    with whole_file(path) as part:
        yield part
        if path.exists():
            path.replace(one_before(path))


def one_before(path: Path) -> Path:
    """The file of the generation before: `last-1.ckpt` of `last.ckpt`."""
    return path.with_stem(f"{path.stem}-1")


def whole_generations(path: Path, made: Callable[[Path, Any], T]) -> list[T]:
    """What is made of the generations that are whole, the newest first.

    One that is damaged is named in a warning, and left out.

    Args:
        path: Of the newest.
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
    """Remove the file in both generations."""
    for file in (path, one_before(path)):
        file.unlink(missing_ok=True)


def _read(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:  # torch.load does not compare the checksums
        wrong = archive.testzip()
    if wrong:
        raise ValueError(f"the checksum of {wrong} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)
