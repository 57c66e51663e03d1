"""Everything that the page is about: runs, sweeps, mixtures, and evaluations of the runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fer_lightning.errors import InputError
from fer_lightning.files import number_at, numbers, read_json, read_rows, readable, value_at
from fer_lightning.report.runs import MixtureRun, Run, read_mixture_run, read_run, run_folders
from fer_lightning.report.sweeps import Sweep, by_sweep
from fer_lightning.runs import Values


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The evaluation of a run on a split.

    Attributes:
        run: The run.
        path: Its folder, named after the split.
        problem: Why it cannot be shown, or None.
        facts: Content of `evaluation.json`, {} if that cannot be read.
    """

    run: Run
    path: Path
    problem: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def split(self) -> str:
        """Return the name of the evaluated split, which is that of the folder."""
        return readable(self.path.name)

    def number(self, *keys: str) -> float | None:
        """Return a number of `evaluation.json`, or None."""
        return number_at(self.facts, *keys)

    def interval(self, *keys: str) -> tuple[float, float] | None:
        """Return both ends of an interval of `evaluation.json`, or None."""
        ends = value_at(self.facts, *keys)
        match ends:
            case [int() | float() as low, int() | float() as high]:
                return low, high
        return None

    def risk_coverage(self) -> tuple[Values, Values] | None:
        """Return the coverages and risks of `risk_coverage.csv`, or None if it cannot be read."""
        try:
            rows = read_rows(self.path / "risk_coverage.csv", ("coverage", "risk"))
            cells = [numbers("risk_coverage.csv", row) for row in rows]
        except InputError:
            return None
        coverage, risk = np.array(cells).reshape(-1, 2).T
        return (coverage, risk) if len(cells) else None


def evaluations_of(run: Run) -> list[Evaluation]:
    """Return all evaluations in a run's folder, in the order of the splits' names."""
    found = sorted((run.folder.path / "evaluation").glob("*/evaluation.json"))
    return [_read(run, path.parent) for path in found]


def _read(run: Run, path: Path) -> Evaluation:
    try:
        return Evaluation(run, path, facts=read_json(path / "evaluation.json"))
    except InputError as error:
        return Evaluation(run, path, problem=str(error))


@dataclass(frozen=True, eq=False)
class Collection:
    """What was found below some folders.

    Attributes:
        runs: Runs of networks.
        sweeps: The same runs, grouped.
        mixtures: Runs of the mixtures.
        evaluations: Evaluations of the networks' runs.
    """

    runs: list[Run]
    sweeps: list[Sweep]
    mixtures: list[MixtureRun]
    evaluations: list[Evaluation]

    @property
    def all_runs(self) -> list[Run | MixtureRun]:
        """Return the runs of networks, then those of mixtures."""
        return [*self.runs, *self.mixtures]

    def of_kind(self, kind: str) -> list[MixtureRun]:
        """Return the finished, readable runs of a mixture command, cluster or classify."""
        return [run for run in self.mixtures if run.folder.kind == kind and run.status == "done"]


def collect(paths: Iterable[Path]) -> Collection:
    """Read all runs in or below some folders.

    Raises:
        InputError: A path is no folder, or there is no run in any of them.
    """
    folders = run_folders(paths)
    runs = [read_run(folder) for folder in folders if folder.kind == "train"]
    mixtures = [read_mixture_run(folder) for folder in folders if folder.kind != "train"]
    evaluations = [evaluation for run in runs for evaluation in evaluations_of(run)]
    return Collection(runs, by_sweep(runs), mixtures, evaluations)
