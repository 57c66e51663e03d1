"""The rungs of a sweep by halving: how many runs came to each, and the best accuracy there."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_lightning.errors import InputError
from fer_lightning.files import read_json
from fer_lightning.report.runs import Run
from fer_lightning.report.searches.search import Search
from fer_lightning.sweeps import rung_epochs


@dataclass(frozen=True)
class Rung:
    """A rung of a race.

    Attributes:
        epoch: After which it was decided who goes on.
        n_runs: Number of runs that came to it.
        best: Their best validation accuracy until then, or None if it is not known.
    """

    epoch: int
    n_runs: int
    best: float | None


def races(search: Search) -> list[list[Rung]]:
    """Return the rungs of each race of a sweep by halving, the first ones first.

    They come from `rungs.json`; without one that can be read, from how far the runs have come, as
    if there were a single race.

    Returns:
        Races with at least one run; none if it is not known where the rungs were.
    """
    assert search.sweep.path is not None
    try:
        told = _told(read_json(search.sweep.path / "rungs.json"), search.sweep.runs)
    except (InputError, AttributeError, KeyError, TypeError, ValueError, OverflowError):
        told = []
    return told or _found(search)


def _told(content: Mapping[str, Any], runs: Iterable[Run]) -> list[list[Rung]]:
    """Return the races that a `rungs.json` tells of."""
    by_number = {run.folder.number: run for run in runs}
    found: dict[int, list[Rung]] = defaultdict(list)
    for rung in content["rungs"]:
        epoch, numbers = int(rung["epoch"]), [int(number) for number in rung["runs"]]
        here = [by_number[number] for number in numbers if number in by_number]
        if numbers:
            found[int(rung["bracket"])].append(Rung(epoch, len(numbers), _best(here, epoch)))
    return [sorted(found[race], key=lambda rung: rung.epoch) for race in sorted(found)]


def _found(search: Search) -> list[list[Rung]]:
    """Return the one race that the curves of the runs tell of."""
    sweeper, runs = search.sweeper, search.sweep.runs
    least, eta = sweeper.get("min_epochs"), sweeper.get("eta")
    if not isinstance(least, int) or not isinstance(eta, int) or least < 1 or eta < 2:
        return []
    epochs = rung_epochs(least, max(run.planned_epochs for run in runs), eta)
    rungs = []
    for epoch in epochs:
        here = [run for run in runs if _last(run) >= epoch]
        rungs.append(Rung(epoch, len(here), _best(here, epoch)))
    return [[rung for rung in rungs if rung.n_runs]] if rungs[0].n_runs else []


def _last(run: Run) -> float:
    return 0 if run.curves is None or not len(run.curves.epoch) else run.curves.epoch[-1]


def _best(runs: Sequence[Run], epoch: int) -> float | None:
    """Return the best validation accuracy of some runs up to an epoch, or None."""
    upto = [run.curves.val_acc[run.curves.epoch <= epoch] for run in runs if run.curves is not None]
    values = np.concatenate([*upto, np.empty(0)])
    return float(np.nanmax(values)) if np.isfinite(values).any() else None
