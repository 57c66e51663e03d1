"""The networks that runs have stored, and the faces on which they were trained."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

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
    section,
)
from fer_lightning.training import ExpressionClassifier, as_evaluated


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


def chosen_faces(config: DictConfig) -> DataSet | None:
    """Return the faces that a configuration chooses, or None.

    Raises:
        InputError: They cannot be read.
    """
    if config.get("data") is None:
        return None
    with section("data"):
        source = instantiate(config.data.source, _convert_="all")
        return DataSet.of(source, config.data)


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
