"""The networks that the folders of runs and sweeps hold, found by the names that a user gives."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from fer_lightning.errors import InputError
from fer_lightning.runs.summary import run_summary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredNetwork:
    """A checkpoint, and the run that it belongs to.

    Attributes:
        name: The run, or the checkpoint, as the user named it.
        folder: Folder of the run, or None if the checkpoint lies elsewhere.
        checkpoint: The file.
    """

    name: str
    folder: Path | None
    checkpoint: Path


def find_networks(name: str, which: str) -> list[StoredNetwork]:
    """Return the network that a user names, or the networks of all runs in a sweep's folder.

    Runs of a sweep that have no such network are left out with a warning.

    Args:
        name: A folder of a run or of a sweep, or a checkpoint file.
        which: `best` or `last`: which network of a run.

    Raises:
        InputError: There is none.
    """
    folder = Path(name).expanduser()
    runs = sorted({path.parent for path in folder.glob("*/checkpoints")}, key=_natural_order)
    if (folder / "checkpoints").exists() or not runs:
        return [find_network(name, which)]
    having = [run for run in runs if (run / "checkpoints" / f"{which}.ckpt").is_file()]
    for run in (run for run in runs if run not in having):
        log.warning("%s: left out: %s", run, _why_without(run, which))
    return [find_network(str(run), which) for run in having]


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a sort key by which 2_b comes before 10_a."""
    return [(int(n or 0), text) for n, text in re.findall(r"(\d+)|(\D+)", path.name)]


def find_network(name: str, which: str) -> StoredNetwork:
    """Return the network that a user names.

    Args:
        name: A run's folder, or a checkpoint file.
        which: `best` or `last`: which network of a folder.

    Raises:
        InputError: There is none.
    """
    path = Path(name).expanduser()
    if path.is_file():
        inside = path.absolute().parent
        is_run = inside.name == "checkpoints" and _is_run(inside.parent)
        return StoredNetwork(name, inside.parent if is_run else None, path)
    if not path.is_dir():
        raise InputError(f"no such run or checkpoint: {name}")
    checkpoint = path / "checkpoints" / f"{which}.ckpt"
    if not checkpoint.is_file():
        raise InputError(f"{name}: {_why_without(path, which)}")
    return StoredNetwork(name, path, checkpoint)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("metrics.csv", "summary.json", ".hydra"))


def _why_without(folder: Path, which: str) -> str:
    """Return the reason why a folder has no checkpoint of this kind, `best` or `last`."""
    missing = f"checkpoints/{which}.ckpt"
    if not _is_run(folder):
        return f"not the folder of a network's run, which has {missing}"
    summary = run_summary(folder)
    if summary.get("diverged"):
        return f"the run diverged in epoch {summary.get('diverged_epoch')}; it has no {missing}"
    return f"the run has no {missing}, or not yet"
