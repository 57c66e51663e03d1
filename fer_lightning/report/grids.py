"""Sweeps over two settings or more at once."""

import math
from dataclasses import dataclass

from fer_lightning.report.setting_values import value_order
from fer_lightning.report.sweeps import Configuration, Sweep

PREFERRED = ("optim.lr", "optim.momentum")  # across and down, where they are swept
MOST_COLUMNS = 6


@dataclass(frozen=True)
class Grid:
    """How the settings of a sweep lie on paper.

    Attributes:
        across: The setting that tells columns apart.
        down: The setting that tells rows apart.
        others: The settings that tell one map from the next.
    """

    across: str
    down: str
    others: list[str]


def grid_of(sweep: Sweep) -> Grid | None:
    """The grid of a sweep, or None if it is none: one setting, or settings that go together."""
    keys = [key for key in PREFERRED if key in sweep.keys]
    keys += [key for key in sweep.keys if key not in PREFERRED]
    cells = math.prod(len(sweep.values(key)) for key in keys)
    if len(keys) < 2 or len(sweep.configurations) <= cells / 2:
        return None
    across, down, *others = keys
    return Grid(across, down, others)


def arranged(sweep: Sweep, most: int) -> tuple[list[Configuration], int]:
    """The configurations in the order in which panels show them, and how many stand in a row.

    Args:
        sweep: The sweep.
        most: How many panels there may be; of more configurations, the best by validation accuracy.
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
