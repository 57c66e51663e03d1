"""The models that a page lets its visitors choose from, loaded when they are first chosen."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fer_lightning.errors import InputError, one_line
from fer_lightning.recognition import Recogniser
from fer_lightning.runs import StoredNetwork, find_networks, run_settings

# From faces, (N, H, W) uint8, to probabilities of the seven classes, (N, 7).
Model = Callable[[np.ndarray], np.ndarray]

SHIPPED = "the shipped network"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A model that can be chosen.

    Attributes:
        name: What the visitor reads.
        load: Returns it.
    """

    name: str
    load: Callable[[], Model]

    @cached_property
    def model(self) -> Model:
        """Return the model, which the first call loads."""
        return self.load()


NEWEST = 30  # runs that are offered where none are named


def newest_runs(folder: Path, pattern: str = "checkpoints/best.ckpt") -> list[str]:
    """Return the runs below a folder, or a sweep in it, that have a file, the newest first."""
    found = [*folder.glob(f"*/{pattern}"), *folder.glob(f"*/*/{pattern}")]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    depth = len(Path(pattern).parts)
    return [str(path.parents[depth - 1]) for path in found[:NEWEST]]


def network_choices(named: Sequence[str], below: Path) -> list[Choice]:
    """Return the shipped network and those of runs.

    Args:
        named: Folders of runs or of sweeps, and checkpoint files.
        below: Where the newest runs are offered from, if none are named. What has no network there
            is left out, and told.

    Raises:
        InputError: A name stands for no network.
    """
    stored = [network for name in named for network in find_networks(name, "best")]
    if not named:
        stored = [network for name in newest_runs(below) for network in _if_sound(name)]
    shipped = Choice(SHIPPED, lambda: Recogniser.load().probabilities)
    return [shipped, *(Choice(_title(n.folder, n.name), _loader(n.name)) for n in stored)]


def _if_sound(name: str) -> list[StoredNetwork]:
    try:
        return find_networks(name, "best")
    except InputError as error:
        log.warning("%s; left out", one_line(error))
        return []


def _loader(name: str) -> Callable[[], Model]:
    return lambda: Recogniser.load(name).probabilities


def _title(folder: Path | None, name: str) -> str:
    """Return a name that tells what a run trained."""
    if folder is None:
        return name
    model = run_settings(folder).get("model")
    told = (
        f"{folder.parent.name}/{folder.name}" if folder.parent.name != "multirun" else folder.name
    )
    return f"{model}: {told}" if model else told
