"""The networks that runs have stored, and the faces on which they were trained."""

import dataclasses
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lightning.data import (
    ClassFolders,
    FaceSplits,
    Fer2013,
    LoadedFaces,
    Source,
    Synthetic,
    Tfd,
    loaded_by,
)
from fer_lightning.errors import InputError
from fer_lightning.runs import (
    _stored,
    read_checkpoint,
    restored_network,
    run_settings,
    run_summary,
    section,
)
from fer_lightning.training import ExpressionClassifier, as_evaluated

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


def load_network(path: Path) -> tuple[ExpressionClassifier, int]:
    """Return the network in a checkpoint, and the epoch, from 1, after which it was saved.

    Raises:
        InputError: The file cannot be read, holds no network of this project, or one that has
            diverged.
    """
    stored = read_checkpoint(path)
    try:
        model = ExpressionClassifier(restored_network(stored), **as_evaluated(stored)).eval()
        epoch = _epoch(stored)
    except (TypeError, KeyError, RuntimeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: not a checkpoint of one of this project's networks (MLP, CNN, ResNet, VGG), "
            "nor of one that can be made here"
        ) from error
    if not all(weights.isfinite().all() for weights in model.parameters()):
        raise InputError(f"{path}: this network has diverged: not all weights are finite numbers")
    return model, epoch


def _epoch(stored: Any) -> int:
    """Return the number of epochs that were done when a checkpoint was saved.

    What Lightning calls epoch is one less until the run has ended.
    """
    if "loops" in stored:
        return int(stored["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
    return int(stored["epoch"]) + 1


# The only classes that a run's settings, which may come from anywhere, can name.
SOURCES: dict[str, Any] = {
    source.__name__.lower(): source for source in (Synthetic, Tfd, Fer2013, ClassFolders)
}


@dataclass(frozen=True)
class DataSet:
    """Faces with the name of their source.

    Attributes:
        name: Name of the source.
        faces: The faces that are used, and those of the whole data set.
        fingerprint: Hash of all pixels and labels of those that are used.
    """

    name: str
    faces: LoadedFaces
    fingerprint: str

    @property
    def splits(self) -> FaceSplits:
        """Return the faces that are used."""
        return self.faces.splits

    @classmethod
    def of(cls, source: Source, loading: Mapping[Any, Any]) -> "DataSet":
        """Read the faces of a source, or its decoded faces from the cache.

        Args:
            source: Where the faces come from.
            loading: The settings of `conf/loading.yaml`; older runs lack some.

        Raises:
            InputError: The faces cannot be read.
        """
        faces = loaded_by(source, loading)
        return cls(source.name, faces, faces.splits.fingerprint())


def run_faces(folder: Path) -> DataSet:
    """Return the faces that a run was trained on.

    Raises:
        InputError: They are no longer where they were, or the run does not say where.
    """
    settings = run_settings(folder)
    source = SOURCES.get(str(settings.get("data")))
    if source is None:
        raise InputError(f"{folder}: no settings of its faces; give data=... (and data.path=...)")
    told = {
        key.removeprefix("data."): value
        for key, value in settings.items()
        if key.startswith("data.")
    }
    given = {f.name: told[f.name] for f in dataclasses.fields(source) if f.name in told}
    for name in ("classes", "codes"):  # maps, whose names stand in the keys of an ended run
        inner = {k.removeprefix(f"{name}."): v for k, v in told.items() if k.startswith(f"{name}.")}
        given |= {name: inner} if inner else {}
    for name in ("path", "labels"):
        if given.get(name) is not None:
            given[name] = _located(str(given[name]), folder)
    if told.get("drop") is not None:
        told["drop"] = _located(str(told["drop"]), folder)
    try:
        with section("data"):
            return DataSet.of(source(**given), told)
    except InputError as error:
        remedy = "data=... data.path=... says where its faces are now"
        raise InputError(f"{folder}: {error}; {remedy}") from error


def _located(path: str, folder: Path) -> str:
    """Return a path of a run's settings, resolved from the folder where the run was started."""
    started_in = _stored(folder / ".hydra" / "hydra.yaml", "hydra", "runtime").get("cwd")
    return str(Path(str(started_in or ".")) / Path(path).expanduser())
