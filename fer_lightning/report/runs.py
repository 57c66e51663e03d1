"""The runs of networks, as their folders tell them."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fer_lightning.bounded_files import plain_yaml, read_json, read_yaml, value_at
from fer_lightning.errors import InputError
from fer_lightning.report.convergence import Convergence
from fer_lightning.report.curves import Curves, read_curves
from fer_lightning.report.files import number_at, text_at
from fer_lightning.report.folders import RunFolder


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
