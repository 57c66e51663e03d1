"""What `python -m fer_lightning.evaluate` left in the folders of runs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fer_lightning.bounded_files import read_json, value_at
from fer_lightning.errors import InputError
from fer_lightning.report.curves import Values
from fer_lightning.report.files import number_at, numbers, read_rows, readable
from fer_lightning.report.runs import Run


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
        """Which faces it is of."""
        return readable(self.path.name)

    def number(self, *keys: str) -> float | None:
        """A figure of `evaluation.json`, or None."""
        return number_at(self.facts, *keys)

    def interval(self, *keys: str) -> tuple[float, float] | None:
        """Both ends of an interval of `evaluation.json`, or None."""
        ends = value_at(self.facts, *keys)
        match ends:
            case [int() | float() as low, int() | float() as high]:
                return low, high
        return None

    def risk_coverage(self) -> tuple[Values, Values] | None:
        """Coverages and risks of `risk_coverage.csv`, or None without a readable one."""
        try:
            rows = read_rows(self.path / "risk_coverage.csv", ("coverage", "risk"))
            cells = [numbers("risk_coverage.csv", row) for row in rows]
        except InputError:
            return None
        coverage, risk = np.array(cells).reshape(-1, 2).T
        return (coverage, risk) if len(cells) else None


def evaluations_of(run: Run) -> list[Evaluation]:
    """All evaluations in a run's folder, in the order of the splits' names."""
    found = sorted((run.folder.path / "evaluation").glob("*/evaluation.json"))
    return [_read(run, path.parent) for path in found]


def _read(run: Run, path: Path) -> Evaluation:
    try:
        return Evaluation(run, path, facts=read_json(path / "evaluation.json"))
    except InputError as error:
        return Evaluation(run, path, problem=str(error))
