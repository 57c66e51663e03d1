"""The faces that a run was made with, read again from what it has kept of its settings."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lightning.bounded_files import read_yaml, value_at
from fer_lightning.data.cache import load
from fer_lightning.data.cross_validation import cross_validated
from fer_lightning.data.faces import FaceSplits
from fer_lightning.data.fer2013 import Fer2013
from fer_lightning.data.folder import ClassFolders
from fer_lightning.data.source import Source
from fer_lightning.data.synthetic import Synthetic
from fer_lightning.data.tfd import Tfd
from fer_lightning.errors import InputError
from fer_lightning.settings import section
from fer_lightning.summary_file import run_summary

# The only classes that a run's settings, which may come from anywhere, can name.
SOURCES: dict[str, Any] = {
    source.__name__.lower(): source for source in (Synthetic, Tfd, Fer2013, ClassFolders)
}


@dataclass(frozen=True)
class DataSet:
    """Faces with the name of their source.

    Attributes:
        name: Of the source.
        splits: The faces.
        fingerprint: Of all pixels and labels.
    """

    name: str
    splits: FaceSplits
    fingerprint: str

    @classmethod
    def of(cls, source: Source, loading: Mapping[Any, Any]) -> "DataSet":
        """Read a source, or its decoded faces from the cache.

        Args:
            source: Where the faces come from.
            loading: The settings `cache_dir`, `cv_folds` and `cv_fold`; None where one is missing.

        Raises:
            InputError: The faces cannot be read.
        """
        splits = load(source, loading.get("cache_dir"))
        splits = cross_validated(splits, loading.get("cv_folds"), loading.get("cv_fold"))
        return cls(source.name, splits, splits.fingerprint())


def run_faces(folder: Path) -> DataSet:
    """The faces of a run.

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
    if given.get("path") is not None:
        given["path"] = _located(str(given["path"]), folder)
    try:
        with section("data"):
            return DataSet.of(source(**given), told)
    except InputError as error:
        remedy = "data=... data.path=... says where its faces are now"
        raise InputError(f"{folder}: {error}; {remedy}") from error


def run_settings(folder: Path) -> dict[str, Any]:
    """Plain values of a run's settings under the keys that users type.

    They are those of summary.json; of a run that has not ended, those of its faces.
    """
    settings = run_summary(folder).get("settings")
    if isinstance(settings, dict):
        return settings
    path = folder / ".hydra" / "config.yaml"
    data, source = _stored(path, "data"), _stored(path, "data", "source")
    if not source:
        return {}
    plain = {f"data.{key!s}": value for key, value in data.items() if "${" not in str(value)}
    return {**plain, "data": str(source.get("_target_")).rpartition(".")[2].lower()}


def _located(path: str, folder: Path) -> str:
    """A path as it was meant where the run was started."""
    started_in = _stored(folder / ".hydra" / "hydra.yaml", "hydra", "runtime").get("cwd")
    return str(Path(str(started_in or ".")) / Path(path).expanduser())


def _stored(path: Path, *keys: str) -> dict[str, Any]:
    """A part of one of Hydra's files; empty if it is not there."""
    if not path.exists():
        return {}
    try:
        part = value_at(read_yaml(path), *keys)
    except InputError as error:
        raise InputError(f"{path.parent}: {error}") from error
    return part if isinstance(part, dict) else {}
