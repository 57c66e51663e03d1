"""The runs of networks and of mixtures, as their folders tell them."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fer_lightning.errors import InputError
from fer_lightning.files import (
    number_at,
    numbers,
    plain_yaml,
    read_json,
    read_rows,
    read_yaml,
    readable,
    text_at,
    value_at,
)
from fer_lightning.runs import Convergence, Curves, Values, ending, read_curves, told_failure

# Files by which the folder of a run is known from its first second on, and those of older copies.
MARKS = {
    "train.log": "train",
    "metrics.csv": "train",
    "cluster.log": "cluster",
    "log_likelihood.csv": "cluster",
    "classify.log": "classify",
    "error.csv": "classify",
}


@dataclass(frozen=True)
class RunFolder:
    """A folder that a command of the project wrote to.

    Attributes:
        path: The folder.
        kind: The command: train, cluster or classify.
        sweep: Folder of the sweep that it is a part of, or None.
    """

    path: Path
    kind: str
    sweep: Path | None

    @property
    def name(self) -> str:
        """What the run is called on the page."""
        return readable(self.path.resolve().name)

    @property
    def sweep_name(self) -> str | None:
        """What its sweep is called on the page, or None."""
        return readable(self.sweep.name) if self.sweep else None

    @property
    def ending(self) -> str:
        """What the run is while it has no summary: failed if its log says so, else unfinished."""
        return ending(self.path)

    @property
    def failure(self) -> str:
        """Why it failed, as its log tells it."""
        return readable(told_failure(self.path) or "")


def run_folders(paths: Iterable[Path]) -> list[RunFolder]:
    """All runs in or below some folders, each once, in the order of their names.

    Raises:
        InputError: A path is no folder, or there is no run in any of them.
    """
    paths = list(paths)
    found: dict[Path, RunFolder] = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(f"PATH must be a folder that exists, got {str(path)!r}")
        for run in _below(path):
            found.setdefault(run.path.resolve(), run)
    if not found:
        raise InputError(f"PATH must hold runs, got none in {', '.join(map(str, paths))}")
    return list(found.values())


def _below(top: Path) -> Iterator[RunFolder]:
    for folder, names, files in os.walk(top):
        kinds = [kind for mark, kind in MARKS.items() if mark in files]
        if kinds:
            path = Path(folder)
            above = path.resolve().parent
            sweep = above if (above / "multirun.yaml").is_file() else None
            yield RunFolder(path, kinds[0], sweep)
            names.clear()
        names[:] = sorted((n for n in names if not n.startswith(".")), key=_by_number)


def _by_number(name: str) -> tuple[int, str]:
    """So that run 10 of a sweep comes after run 9; names that begin with a date stay in order."""
    number = name.split("_")[0]
    return (int(number) if number.isascii() and number.isdigit() else 0, name)


@dataclass(frozen=True, eq=False)
class Run:
    """A run of a network.

    Attributes:
        folder: Where it is.
        status: done, diverged, failed, unfinished or damaged.
        problem: Why it is damaged, or None.
        summary: Content of `summary.json`, {} without one.
        settings: Every setting under the key that users type; without a summary those given.
        given: Keys of the settings that were given for this run.
        curves: Values per epoch, or None.
    """

    folder: RunFolder
    status: str
    problem: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    curves: Curves | None = None

    @cached_property
    def convergence(self) -> Convergence:
        """When it converged, as far as its curves tell."""
        return Convergence.of(self.curves) if self.curves else Convergence(None, None, None)

    def score(self, epoch: str, split: str, measure: str) -> float | None:
        """A figure of the network of one epoch.

        Args:
            epoch: best, by validation accuracy, or final.
            split: train, val or test.
            measure: ce or acc.

        Returns:
            That of the summary; of a run without one, that of the curves so far.
        """
        if self.summary:
            return number_at(self.summary, epoch, split, measure)
        if self.curves is None or split == "test" or not len(self.curves.epoch):
            return None
        row = self.curves.best_row() if epoch == "best" else -1
        value = np.nan if row is None else self.curves.of(split, measure)[row]
        return float(value) if np.isfinite(value) else None

    @property
    def model(self) -> str | None:
        """Name of the network's kind, such as mlp."""
        return text_at(self.settings, "model")

    @property
    def planned_epochs(self) -> int:
        """How many epochs it was to be trained for, as far as that is known; at least 1."""
        planned = self.settings.get("trainer.max_epochs")
        return max(planned if isinstance(planned, int) else 0, self.n_epochs or 0, 1)

    @property
    def n_epochs(self) -> int | None:
        """How many epochs it was trained for."""
        return None if self.curves is None else len(self.curves.epoch)

    @property
    def seconds(self) -> float | None:
        """How long its training took; of a run without a summary, its epochs so far."""
        if self.summary or self.curves is None:
            return number_at(self.summary, "seconds")
        return float(np.nansum(self.curves.seconds))


def read_run(folder: RunFolder) -> Run:
    """What a folder tells of a run; of one that is damaged, what of it can be read."""
    problems = []
    summary: dict[str, Any] = {}
    given: dict[str, Any] = {}
    curves = None
    try:
        given = given_settings(folder.path)
    except InputError as error:
        problems.append(str(error))
    if (folder.path / "summary.json").exists():
        try:
            summary = read_json(folder.path / "summary.json")
        except InputError as error:
            problems.append(str(error))
    if summary or (folder.path / "metrics.csv").exists():
        try:
            curves = read_curves(folder.path / "metrics.csv")
        except InputError as error:
            problems.append(str(error))
    told = value_at(summary, "settings")
    return Run(
        folder=folder,
        status=_status(folder, summary, problems),
        problem="; ".join(problems) or None,
        summary=summary,
        settings={**given, **(told if isinstance(told, dict) else {})},
        given=tuple(given),
        curves=curves,
    )


def _status(folder: RunFolder, summary: dict[str, Any], problems: list[str]) -> str:
    if problems:
        return "damaged"
    if not summary:
        return folder.ending
    return "diverged" if summary.get("diverged") is True else "done"


def given_settings(folder: Path) -> dict[str, Any]:
    """The settings that were given for a run, by key, from `.hydra/overrides.yaml`.

    Raises:
        InputError: The file cannot be read.
    """
    path = folder / ".hydra" / "overrides.yaml"
    if not path.exists():
        return {}
    overrides = read_yaml(path)
    texts = overrides if isinstance(overrides, list) else []
    pairs = [str(text).partition("=") for text in texts]
    return {key.lstrip("+"): _value(text) for key, equals, text in pairs if equals}


def _value(text: str) -> Any:
    try:
        return plain_yaml(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        return text


TABLES = {
    "cluster": ("log_likelihood.csv", ("start", "restart", "iteration", "log_likelihood")),
    "classify": ("error.csv", ("n_components", "train", "val", "test")),
}


@dataclass(frozen=True, eq=False)
class MixtureRun:
    """A run of the mixtures.

    Attributes:
        folder: Where it is.
        status: done, failed, unfinished or damaged.
        problem: Why it is damaged, or None.
        summary: Content of `summary.json`, {} without one.
        rows: Of its table, as `TABLES` says.
    """

    folder: RunFolder
    status: str
    problem: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)

    def setting(self, key: str) -> object:
        """The value of a setting under the key that users type, or None."""
        settings = value_at(self.summary, "settings")
        return settings.get(key) if isinstance(settings, dict) else None

    @property
    def curves(self) -> dict[str, list[Values]]:
        """Of a clustering: the log-likelihoods of every restart of each start."""
        restarts: dict[tuple[str, str], list[float]] = {}
        for start, restart, _, value in self.rows:
            restarts.setdefault((start, restart), []).append(float(value))
        starts: dict[str, list[Values]] = {}
        for (start, _), values in restarts.items():
            starts.setdefault(start, []).append(np.array(values))
        return starts

    @property
    def errors(self) -> dict[str, Values]:
        """Of a classification: the columns of its table, n_components first."""
        values = np.array(self.rows, dtype=np.float64).reshape(-1, 4)
        return dict(zip(TABLES["classify"][1], values.T, strict=True))

    @property
    def tells_all_test_faces_apart(self) -> bool:
        """Whether a classification's figures are of all test faces."""
        n = number_at(self.summary, "faces", "test")
        return n is not None and n == number_at(self.summary, "data", "test")


def read_mixture_run(folder: RunFolder) -> MixtureRun:
    """What a folder tells of a run of the mixtures."""
    if not (folder.path / "summary.json").exists():
        return MixtureRun(folder, folder.ending)
    name, columns = TABLES[folder.kind]
    try:
        summary = read_json(folder.path / "summary.json")
        rows = read_rows(folder.path / name, columns)
        for row in rows:
            numbers(name, row[1:])
            if not all(row):
                raise InputError(f"{name} must have no empty cells")
        if folder.kind == "classify":
            numbers(name, [row[0] for row in rows])
    except InputError as error:
        return MixtureRun(folder, "damaged", str(error))
    return MixtureRun(folder, "done", None, summary, rows)
