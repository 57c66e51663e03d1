"""The command line of a benchmark, contenders in turns, and what comes out: a table and JSON."""

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import facts
from fer_lightning.files.writing import write_json
from fer_lightning.plots.text_table import as_text, plain_table
from fer_lightning.shell.configuration import project_root

Row = Mapping[str, Any]


def parser(name: str, description: str, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks: --rounds, --quick and --json."""
    made = argparse.ArgumentParser(description=description.splitlines()[0])
    made.add_argument("--rounds", type=int, default=rounds, help=f"by default {rounds}")
    made.add_argument("--quick", action="store_true", help="few faces, to see that it works")
    made.add_argument("--json", type=Path, default=project_root() / "multirun" / f"{name}.json")
    return made


def in_turns(contenders: Mapping[str, Callable[[], list[float]]], rounds: int) -> dict[str, float]:
    """Run the contenders in turns, so that noise falls on all alike; return the median of each."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            values[name] += run()
    return {name: statistics.median(numbers) for name, numbers in values.items()}


def publish(path: Path, rows: Sequence[Row]) -> None:
    """Print rows as a table with the columns of the first row, and write them as JSON."""
    machine = facts()
    print(", ".join(f"{name} {value}" for name, value in machine.items() if value is not None))
    columns = list(rows[0])
    table = plain_table(*columns)
    for row in rows:
        table.add_row(*(_shown(row[column]) for column in columns))
    print(as_text(table, width=None), flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"machine": machine, "rows": list(rows)})


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if value < 100 else f"{value:.0f}"
    return "-" if value is None else str(value)
