"""The cells of a part of the benchmark: what was measured, what failed, what had no time left."""

import json
import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Cell = dict[str, Any]

NO_TIME = "not measured: no time left"


@dataclass
class Part:
    """A part that is being measured.

    Attributes:
        name: Of the part.
        path: Where a line of JSON is added for each cell, at once.
        deadline: No cell is begun after this time of `time.monotonic`.
        is_toy: Whether sizes are so small that a CPU goes through them in seconds.
        known: The cells that are in the file already, of this part and of others.
    """

    name: str
    path: Path
    deadline: float
    is_toy: bool
    known: list[Cell] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Return the device that is measured."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def left(self) -> float:
        """Return the seconds until no further cell is begun."""
        return max(0.0, self.deadline - time.monotonic())

    def measure(self, names: Cell, run: Callable[[], Cell]) -> Cell | None:
        """Measure a cell if there is time, keep what came of it, and return its figures.

        Args:
            names: What the cell is, the first columns of its row.
            run: Returns its figures.
        """
        if time.monotonic() > self.deadline:
            self._keep({**names, "note": NO_TIME})
            return None
        try:
            figures = run()
        except Exception as error:  # whatever it is, the other cells are measured
            traceback.print_exc()
            self._keep({**names, "failed": f"{type(error).__name__}: {error}"[:500]})
            return None
        finally:
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        self._keep({**names, **figures})
        return figures

    def add(self, names: Cell, figures: Cell) -> None:
        """Keep a cell that follows from others."""
        self._keep({**names, **figures})

    def note(self, names: Cell, note: str) -> None:
        """Keep a cell that cannot be measured, and why."""
        self._keep({**names, "note": note})

    def of(self, part: str) -> list[Cell]:
        """Return the cells of a part so far."""
        return [cell for cell in self.known if cell["part"] == part]

    def _keep(self, cell: Cell) -> None:
        self.known.append({"part": self.name, **cell})
        with self.path.open("a") as file:
            file.write(json.dumps(self.known[-1]) + "\n")


def read_cells(path: Path) -> list[Cell]:
    """Return the cells in a file; a line that was cut off is left out."""
    cells = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            cells.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return cells


def synchronise() -> None:
    """Wait until the GPU has done all that it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], object]) -> float:
    """Return how many seconds a call takes until the GPU is done with it."""
    synchronise()
    begin = time.perf_counter()
    call()
    synchronise()
    return time.perf_counter() - begin


def several(call: Callable[[], object], repeats: int, calls: int = 1) -> list[float]:
    """Return the seconds of a call, after one that warms up, several times.

    Args:
        call: What to time.
        repeats: How many times to return.
        calls: Calls in a row of which a time is the mean.
    """
    call()

    def in_a_row() -> None:
        for _ in range(calls):
            call()

    return [seconds_of(in_a_row) / calls for _ in range(repeats)]


def in_ms(name: str, seconds: list[float]) -> Cell:
    """Return the median of some times in ms under a name, and their least and most."""
    ms = sorted(1e3 * s for s in seconds)
    return {name: statistics.median(ms), f"{name}, spread": f"{ms[0]:.3g}-{ms[-1]:.3g}"}
