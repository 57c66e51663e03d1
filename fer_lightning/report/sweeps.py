"""Runs that belong together: sweeps, and configurations repeated over seeds and folds."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from fer_lightning.files import readable
from fer_lightning.report.runs import Run

# Settings that are averaged over.
REPLICATES = ("seed", "data.seed", "data.cv_fold")


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of n numbers; the latter is None if n is 1."""

    mean: float
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        """Return the spread of the values that are not None, or None without any."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(fmean(known), stdev(known) if len(known) > 1 else None, len(known))


@dataclass(frozen=True, eq=False)
class Configuration:
    """Runs whose settings differ in seeds and folds alone.

    Attributes:
        values: Values of the settings that tell it from others, by key.
        runs: At least one.
        name: Its name, if it is not named by its values.
    """

    values: dict[str, Any]
    runs: list[Run]
    name: str | None = None

    def score(self, epoch: str, split: str, measure: str) -> Spread | None:
        """Return the spread of `Run.score` over the runs."""
        return Spread.of(run.score(epoch, split, measure) for run in self.runs)

    @property
    def label(self) -> str:
        """Return the configuration's name, or its values as text."""
        values = (f"{short(key)} {shown(value)}" for key, value in self.values.items())
        return self.name or ", ".join(values)


@dataclass(frozen=True, eq=False)
class Sweep:
    """The runs of a sweep.

    Attributes:
        path: Its folder; None for runs that were started one by one.
        keys: The settings that differ between its runs, without `REPLICATES`.
        repeated: Those of `REPLICATES` that differ.
        configurations: In the order of their values.
    """

    path: Path | None
    keys: list[str]
    repeated: list[str]
    configurations: list[Configuration]

    @property
    def runs(self) -> list[Run]:
        """Return all runs of the sweep."""
        return [run for configuration in self.configurations for run in configuration.runs]

    def ranking(self) -> list[Configuration]:
        """Return the configurations by mean validation accuracy, best first, then by lower CE."""
        return sorted(self.configurations, key=_rank)

    def values(self, key: str) -> list[Any]:
        """Return the different values of a swept key, sorted."""
        found = {hashable(c.values[key]): c.values[key] for c in self.configurations}
        return sorted(found.values(), key=value_order)


def sweep_of(path: Path | None, runs: Sequence[Run]) -> Sweep:
    """Group the runs of a sweep by their settings."""
    differing = swept_keys(runs)
    keys = [key for key in differing if key not in REPLICATES]
    groups: dict[object, list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(hashable(run.settings.get(key)) for key in keys), []).append(run)
    configurations = [
        Configuration({key: group[0].settings.get(key) for key in keys}, group)
        for group in groups.values()
    ]
    configurations.sort(key=lambda c: [value_order(value) for value in c.values.values()])
    repeated = [key for key in differing if key in REPLICATES]
    return Sweep(path, keys, repeated, configurations)


def swept_keys(runs: Sequence[Run]) -> list[str]:
    """Return the keys whose values differ between runs, of those given if any were given."""
    given = dict.fromkeys(key for run in runs for key in run.given)
    keys = given or dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if len({hashable(run.settings.get(key)) for run in runs}) > 1]


def by_sweep(runs: Sequence[Run]) -> list[Sweep]:
    """Return the sweeps of some runs, in the order of their first runs; single runs come last."""
    groups: dict[Path | None, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.folder.sweep, []).append(run)
    alone = groups.pop(None, [])
    sweeps = [sweep_of(path, group) for path, group in groups.items()]
    if alone:
        single = [Configuration({}, [run], run.folder.name) for run in alone]
        sweeps.append(Sweep(None, [], [], single))
    return sweeps


def _rank(configuration: Configuration) -> tuple[float, float]:
    acc, ce = (configuration.score("best", "val", measure) for measure in ("acc", "ce"))
    return (-acc.mean if acc else math.inf, ce.mean if ce else math.inf)


PREFERRED = ("optim.lr", "optim.momentum")  # across and down, where they are swept
MOST_COLUMNS = 6


@dataclass(frozen=True)
class Grid:
    """The settings of a sweep as columns, rows and maps of a figure.

    Attributes:
        across: The setting that tells columns apart.
        down: The setting that tells rows apart.
        others: The settings that tell one map from the next.
    """

    across: str
    down: str
    others: list[str]


def grid_of(sweep: Sweep) -> Grid | None:
    """Return the grid of a sweep, or None if its settings form no grid.

    That is so for a single setting, or if at most half of the cells have a configuration.
    """
    keys = [key for key in PREFERRED if key in sweep.keys]
    keys += [key for key in sweep.keys if key not in PREFERRED]
    cells = math.prod(len(sweep.values(key)) for key in keys)
    if len(keys) < 2 or len(sweep.configurations) <= cells / 2:
        return None
    across, down, *others = keys
    return Grid(across, down, others)


def arranged(sweep: Sweep, most: int) -> tuple[list[Configuration], int]:
    """Return the configurations in the order of their panels, and the number of panels in a row.

    Args:
        sweep: The sweep.
        most: Most panels; of more configurations, the best by validation accuracy are taken.
    """
    configurations = sweep.configurations
    if len(configurations) > most:
        best = {id(configuration) for configuration in sweep.ranking()[:most]}
        return [c for c in configurations if id(c) in best], 4
    grid = grid_of(sweep)
    if grid is None or len(sweep.values(grid.across)) > MOST_COLUMNS:
        return configurations, min(4, len(configurations))
    keys = [*grid.others, grid.down, grid.across]
    ordered = sorted(configurations, key=lambda c: [value_order(c.values[key]) for key in keys])
    return ordered, len(sweep.values(grid.across))


def short(key: str) -> str:
    """Return a setting's name without its section, as on axes: `lr` of `optim.lr`."""
    return readable(key).rpartition(".")[2].replace("_", " ")


def shown(value: object) -> str:
    """Return a setting's value as a short text."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return "-".join(map(shown, value))
    return "-" if value is None else readable(str(value))


def hashable(value: object) -> object:
    """Return a setting's value in a form that can be a key of a dictionary."""
    if isinstance(value, list):
        return tuple(map(hashable, value))
    return value if isinstance(value, int | float | str | None) else str(value)


def value_order(value: object) -> tuple[int, list[float], str]:
    """Return a sort key for the values of a setting: numbers by size, then others by name."""
    parts = value if isinstance(value, list) else [value]
    figures = [float(part) for part in parts if isinstance(part, int | float)]
    if len(figures) == len(parts) > 0:
        return (0, figures, "")
    return (1, [], shown(value))
