"""The checkpoints that a run has left to go on from."""

import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fer_lightning.errors import one_line

NAMES = ("last.ckpt", "last-1.ckpt")  # the newest first

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """A checkpoint that is whole.

    Attributes:
        path: The file.
        content: What Lightning's Trainer saved.
    """

    path: Path
    content: dict[str, Any]

    @property
    def epoch(self) -> int:
        """How many epochs were done."""
        return int(self.content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])

    def of_callback(self, name: str) -> dict[str, Any]:
        """The state of one of the run's callbacks."""
        state: dict[str, Any] = self.content["callbacks"][name]
        return state


def whole_checkpoints(folder: Path) -> list[Stored]:
    """The checkpoints in a folder from which a run can go on, the newest first.

    One that is damaged is named in a warning, and left out.
    """
    found = []
    for path in (folder / name for name in NAMES):
        if path.exists():
            try:
                found.append(_read(path))
            except Exception as error:  # a damaged file fails in as many ways as there are bytes
                reason = one_line(error)[:100] or type(error).__name__
                log.warning("%s: damaged (%s); left out", path, reason)
    return found


def _read(path: Path) -> Stored:
    with zipfile.ZipFile(path) as archive:  # torch.load does not compare the checksums
        wrong = archive.testzip()
    if wrong:
        raise ValueError(f"the checksum of {wrong} is wrong")
    stored = Stored(path, torch.load(path, map_location="cpu", weights_only=True))
    if stored.epoch < 1 or "optimizer_states" not in stored.content:
        raise ValueError("it is of no training")
    return stored
