"""Successive halving: rungs of epochs, who survives them, and brackets of several such races.

Jamieson & Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter
optimization"; Li et al. (2018), "Hyperband"; Li et al. (2020), "A system for massively parallel
hyperparameter tuning", which is asynchronous halving.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from fer_lightning.errors import InputError
from fer_lightning.runs import read_curves

# Best validation accuracy up to some epoch, and minus the cross-entropy of that epoch.
Merit = tuple[float, float]


@dataclass(frozen=True)
class Bracket:
    """A race of runs.

    Attributes:
        rungs: The epochs at which it is decided who goes on; the last is the end.
        runs: Numbers of the runs that begin it.
    """

    rungs: tuple[int, ...]
    runs: tuple[int, ...]


def rung_epochs(min_epochs: int, max_epochs: int, eta: int) -> tuple[int, ...]:
    """Return max_epochs and as many parts of it, each one eta-th of the next, as are not too short.

    Args:
        min_epochs: The least number of epochs of the first.
        max_epochs: The last.
        eta: A rung has 1 / eta of the runs of the one before.
    """
    n = 0
    while max_epochs / eta ** (n + 1) >= min_epochs:
        n += 1
    return tuple(math.ceil(max_epochs / eta ** (n - i)) for i in range(n + 1))


def brackets(n_runs: int, rungs: Sequence[int], eta: int, seed: int) -> list[Bracket]:
    """Divide runs at random into Hyperband's brackets (Li et al. 2018, algorithm 1).

    Bracket s begins at the s-th rung from the end, with runs in proportion to eta^s / (s + 1), so
    that all brackets take about equally many epochs.

    Args:
        n_runs: Number of the runs.
        rungs: Those of the longest race.
        eta: As in `rung_epochs`.
        seed: Of the order in which runs are dealt out.
    """
    weights = [eta**s / (s + 1) for s in range(len(rungs))][::-1]
    ends = [round(n_runs * sum(weights[: i + 1]) / sum(weights)) for i in range(len(weights))]
    order = Random(seed).sample(range(n_runs), n_runs)
    dealt = [sorted(order[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    return [Bracket(tuple(rungs[i:]), tuple(runs)) for i, runs in enumerate(dealt) if runs]


def survivors(merits: Mapping[int, Merit], n_begun: int, eta: int) -> list[int]:
    """Return the runs that go on, the best first: 1 / eta of those that came to the rung, or one.

    Args:
        merits: Of the runs that can go on, by number.
        n_begun: Number of the runs that began the rung.
        eta: As in `rung_epochs`.
    """
    ranked = sorted(merits, key=lambda run: (*(-part for part in merits[run]), run))
    return ranked[: max(1, n_begun // eta)]


def goes_on(own: Merit, others: Sequence[Merit], eta: int) -> bool:
    """Return whether a run is among the best 1 / eta of those that came to its rung so far.

    Args:
        own: Its merit.
        others: Those of the other runs that have been at the rung.
        eta: As in `rung_epochs`.
    """
    n_better = sum(other > own for other in others)
    return n_better < max(1, (1 + len(others)) // eta)


def merit(folder: Path, epoch: int) -> Merit | None:
    """Return the merit of a run after an epoch, or None if it has not come so far.

    Args:
        folder: Of the run.
        epoch: From 1.
    """
    try:
        curves = read_curves(folder / "metrics.csv")
    except InputError:
        return None
    if not len(curves.epoch) or curves.epoch[-1] < epoch:
        return None
    upto = curves.epoch <= epoch
    acc, ce = curves.of("val", "acc")[upto], curves.of("val", "ce")[upto]
    if not np.isfinite(acc).any():
        return None
    best = int(np.nanargmax(acc))
    return float(acc[best]), -float(np.nan_to_num(ce[best], nan=np.inf))
