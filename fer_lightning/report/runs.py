"""The runs of networks and of mixtures, as read from their folders."""

import os
import re
from collections import Counter
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
    plain_yaml,
    read_json,
    read_yaml,
    readable,
    text_at,
    value_at,
)
from fer_lightning.runs import (
    Convergence,
    Curves,
    ending,
    read_curves,
    run_number,
    status_of,
    told_failure,
    without_resume,
)

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
        """Return the name of the run on the page."""
        return readable(self.path.resolve().name)

    @property
    def number(self) -> int:
        """Return the number of the run in its sweep, from 1, or 0 if it has none."""
        return run_number(self.path.resolve())

    @property
    def sweep_name(self) -> str | None:
        """Return the name of the run's sweep on the page, or None."""
        return readable(self.sweep.name) if self.sweep else None

    @property
    def ending(self) -> str:
        """Return the status without a summary: failed if the run's log says so, else unfinished."""
        return ending(self.path)

    @property
    def failure(self) -> str:
        """Return why the run failed, as its log says; empty if it does not."""
        return readable(told_failure(self.path) or "")


def run_folders(paths: Iterable[Path]) -> list[RunFolder]:
    """Return all runs in or below some folders, each once, in the order of their names.

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
    """Return a sort key by which run 10 of a sweep comes after run 9.

    Names that begin with a date stay in their order.
    """
    number = name.split("_")[0]
    return (int(number) if number.isascii() and number.isdigit() else 0, name)


@dataclass(frozen=True, eq=False)
class Run:
    """A run of a network.

    Attributes:
        folder: Where it is.
        status: done, diverged, failed, unfinished, damaged, or such as stopped at rung 2.
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

    @property
    def was_given_up(self) -> bool:
        """Return whether its sweep stopped it early, as others were better."""
        return bool(re.match(r"stopped at (rung \d|epoch \d+ by \w)", self.status))

    @property
    def is_trouble(self) -> bool:
        """Return whether it has neither come to its end nor was stopped by its sweep."""
        return self.status != "done" and not self.was_given_up

    @cached_property
    def convergence(self) -> Convergence:
        """Return the epochs by which the run converged, None where its curves do not show it."""
        return Convergence.of(self.curves) if self.curves else Convergence(None, None, None)

    def score(self, epoch: str, split: str, measure: str) -> float | None:
        """Return the cross-entropy or accuracy of the network of one epoch, or None.

        Args:
            epoch: best, by validation accuracy, or final.
            split: train, val or test.
            measure: ce or acc.

        Returns:
            The value in the summary, or in the curves so far if there is no summary.
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
        """Return the kind of the network, such as mlp."""
        return text_at(self.settings, "model")

    @property
    def planned_epochs(self) -> int:
        """Return the number of epochs planned for the run, as far as it is known; at least 1."""
        planned = self.settings.get("trainer.max_epochs")
        return max(planned if isinstance(planned, int) else 0, self.n_epochs or 0, 1)

    @property
    def n_epochs(self) -> int | None:
        """Return the number of epochs that the run was trained for, or None without curves."""
        return None if self.curves is None else len(self.curves.epoch)

    @property
    def seconds(self) -> float | None:
        """Return the seconds of the training; without a summary, those of its epochs so far."""
        if self.summary or self.curves is None:
            return number_at(self.summary, "seconds")
        return float(np.nansum(self.curves.seconds))


def read_run(folder: RunFolder) -> Run:
    """Read a run from its folder; of a damaged run, what can be read of it."""
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


def counted(runs: Iterable[Run]) -> str:
    """Return how many runs ended how, such as `9 done, 3 stopped by MedianPruner`."""
    ends = [re.sub(r"^(stopped) at epoch \d+ (?=by )", r"\1 ", run.status) for run in runs]
    counts = sorted(Counter(ends).items(), key=lambda end: (end[0] != "done", end[0]))
    return ", ".join(f"{n} {end}" for end, n in counts)


def _status(folder: RunFolder, summary: dict[str, Any], problems: list[str]) -> str:
    if problems:
        return "damaged"
    if not summary:
        return folder.ending
    return status_of(summary)


def given_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that were given for a run, by key, from `.hydra/overrides.yaml`.

    Raises:
        InputError: The file cannot be read.
    """
    path = folder / ".hydra" / "overrides.yaml"
    if not path.exists():
        return {}
    overrides = read_yaml(path)
    texts = [str(text) for text in overrides] if isinstance(overrides, list) else []
    pairs = [text.partition("=") for text in without_resume(texts)]
    return {key.lstrip("+"): _value(text) for key, equals, text in pairs if equals}


def _value(text: str) -> Any:
    try:
        return plain_yaml(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        return text
