"""What is known of a sweep that searches: how it did, for what, and the order of its runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from fer_lightning.errors import InputError
from fer_lightning.files import number_at
from fer_lightning.report.runs import Run
from fer_lightning.report.sweeps import Sweep
from fer_lightning.runs import sweep_overrides, sweeper_settings, trained_until
from fer_lightning.sweeps import DIRECTIONS

ACCURACY = "val/acc"
NAMES = {
    "val/acc": "validation accuracy, %",
    "val/ce": "validation CE, nats",
    "n_parameters": "parameters",
    "epochs": "epochs",
    "seconds": "seconds of training",
}


@dataclass(frozen=True, eq=False)
class Search:
    """A sweep, with what its folder tells of how it searched.

    Attributes:
        sweep: Its runs.
        sweeper: Settings of the sweeper, {} where these are not known.
        objectives: What it looked for.
    """

    sweep: Sweep
    sweeper: dict[str, Any]
    objectives: list[str]

    @property
    def is_halving(self) -> bool:
        """Return whether it stopped runs at rungs."""
        return "method" in self.sweeper and "eta" in self.sweeper

    @property
    def chose(self) -> bool:
        """Return whether it went on by what came of its runs, as a grid does not."""
        return self.is_halving or "objectives" in self.sweeper

    @cached_property
    def logarithmic(self) -> dict[str, bool]:
        """Return for each setting with a range or an interval whether it was logarithmic."""
        return _logarithmic(self.sweep.path) if self.chose and self.sweep.path else {}

    def ended(self) -> list[Run]:
        """Return the runs that have come to an end or were stopped, in the order in which."""
        return sorted((run for run in self.sweep.runs if run.summary), key=_end)


def search_of(sweep: Sweep) -> Search | None:
    """Return what is known of a sweep, or None of runs that are in none."""
    if sweep.path is None:
        return None
    try:
        sweeper = sweeper_settings(sweep.path)
    except InputError:
        sweeper = {}
    told = sweeper.get("objectives")
    names = [str(name) for name in told] if isinstance(told, list) else []
    return Search(sweep, sweeper, [name for name in names if name in DIRECTIONS] or [ACCURACY])


def objective(run: Run, name: str) -> float | None:
    """Return what an objective of a search is for a run; accuracies in percent."""
    if "/" not in name:
        return number_at(run.summary, name)
    value = run.score("best", *name.split("/"))
    return 100 * value if name == ACCURACY and value is not None else value


def better(values: Sequence[float], name: str) -> float:
    """Return the best of some values of an objective."""
    return max(values) if DIRECTIONS[name] == "maximize" else min(values)


def _logarithmic(folder: Path) -> dict[str, bool]:
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep
    from hydra.errors import HydraException

    try:
        overrides = sweep_overrides(folder)
    except (InputError, HydraException, AttributeError):
        return {}
    told = {key: given.value() for key, given in overrides.items() if given.is_sweep_override()}
    return {
        key: "log" in value.tags
        for key, value in told.items()
        if isinstance(value, IntervalSweep | RangeSweep)
    }


def _end(run: Run) -> tuple[str, int]:
    """Return a sort key: when the run ended, by its log or else by its summary's file."""
    path = run.folder.path
    try:
        written = datetime.fromtimestamp((path / "summary.json").stat().st_mtime)
    except OSError:
        written = datetime.min
    return trained_until(path) or f"{written:%Y-%m-%d %H:%M:%S,%f}", run.folder.number
