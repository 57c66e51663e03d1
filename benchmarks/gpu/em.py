"""EM on a GPU, at many sizes."""

import statistics
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from math import exp, log

from benchmarks.gpu.cells import Cell, Part
from benchmarks.gpu.em_contest import Contest
from benchmarks.gpu.em_sizes import sizes, toy


def measure(part: Part) -> None:
    """Measure all sizes, and tell how the ratios are on the whole."""
    warnings.simplefilter("ignore")
    contest = Contest(part)
    for size in dict.fromkeys(map(toy, sizes())) if part.is_toy else sizes():
        part.measure(asdict(size), partial(contest.cell, size))
    for c in ("tied", "full"):
        names = {"N": 3374, "D": 2304, "K": 7, "R": 100, "covariances": c}
        need = 3 * 8 * 100 * (7 if c == "full" else 1) * 2304**2 / 2**30
        part.note(names, f"matrices of 100 restarts would take {need:.0f} GiB")
    for name in ("sklearn cuda / ours", "sklearn cpu / ours"):
        for what, several in (("one fit", False), ("restarts", True)):
            cells = [cell for cell in part.of("em") if (cell.get("R", 0) > 1) == several]
            part.add({"all": f"{name}, {what}"}, overall(cells, name))


def overall(cells: Sequence[Cell], name: str) -> Cell:
    """Return the geometric mean and the least of a ratio over all sizes."""
    ratios = [cell[name] for cell in cells if cell.get(name)]
    if not ratios:
        return {"cells": 0}
    mean = exp(statistics.fmean(map(log, ratios)))
    return {"cells": len(ratios), "geometric mean": mean, "least": min(ratios)}
