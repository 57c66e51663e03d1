"""Everything that the page is about: runs, sweeps, mixtures, and evaluations of the runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fer_lightning.errors import InputError
from fer_lightning.files import number_at, numbers, read_json, read_rows, readable, value_at
from fer_lightning.report.runs import Run, RunFolder, read_run, run_folders
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


TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
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
        rows: Rows of its table, with the columns of `TABLES`; where numbers of factors vary, those
            of the chosen one.
    """

    folder: RunFolder
    status: str
    problem: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)

    @property
    def is_trouble(self) -> bool:
        """Return whether it has not come to its end."""
        return self.status != "done"

    def setting(self, key: str) -> object:
        """Return the value of a setting under the key that users type, or None."""
        settings = value_at(self.summary, "settings")
        return settings.get(key) if isinstance(settings, dict) else None

    @property
    def curves(self) -> dict[str, list[Values]]:
        """Return the log-likelihoods of a clustering: of every restart, by kind of start."""
        restarts: dict[tuple[str, str], list[float]] = {}
        for start, restart, _, value in self.rows:
            restarts.setdefault((start, restart), []).append(float(value))
        starts: dict[str, list[Values]] = {}
        for (start, _), values in restarts.items():
            starts.setdefault(start, []).append(np.array(values))
        return starts

    @property
    def errors(self) -> dict[str, Values]:
        """Return the columns of a classification's table by name, n_components first."""
        values = np.array(self.rows, dtype=np.float64).reshape(-1, 4)
        return dict(zip(TABLES["classify"][1], values.T, strict=True))

    @property
    def tells_all_test_faces_apart(self) -> bool:
        """Return whether a classification was tested on all test faces of its data."""
        n = number_at(self.summary, "faces", "test")
        return n is not None and n == number_at(self.summary, "data", "test")


def read_mixture_run(folder: RunFolder) -> MixtureRun:
    """Read a run of the mixtures from its folder."""
    if not (folder.path / "summary.json").exists():
        return MixtureRun(folder, folder.ending)
    name, columns = TABLES[folder.kind]
    try:
        summary = read_json(folder.path / "summary.json")
        if "n_factors" in summary:
            columns = (*columns, "n_factors")
        rows = read_rows(folder.path / name, columns)
        for row in rows:
            numbers(name, row[1:])
            if not all(row):
                raise InputError(f"{name} must have no empty cells")
        if folder.kind == "classify":
            numbers(name, [row[0] for row in rows])
    except InputError as error:
        return MixtureRun(folder, "damaged", str(error))
    if "n_factors" in summary:  # of the chosen number alone
        best = str(value_at(summary, "best", "n_factors"))
        rows = [cells for *cells, n_factors in rows if n_factors == best]
    return MixtureRun(folder, "done", None, summary, rows)


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
