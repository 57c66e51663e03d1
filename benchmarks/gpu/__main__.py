"""How fast the project is on a GPU, in five minutes, and whether what is fast is right.

    python -m benchmarks.gpu [--parts device em] [--dry-run] [--json FILE]

Each part is a process with a time limit of its own; what it has measured is kept line by line, and
the results so far are written to a JSON file after each part. `--dry-run` goes through all of it at
toy size, on a CPU if need be.
"""

import argparse
import datetime
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.cells import Cell, Part, read_cells
from benchmarks.machine import facts
from fer_lightning.files.writing import write_json
from fer_lightning.plots.text_table import as_text, plain_table
from fer_lightning.runs import commit
from fer_lightning.shell.configuration import project_root

# Seconds after which a part begins no further cell; GRACE later it is ended.
LIMITS = {"device": 15, "together": 50, "em": 80, "epochs": 38, "grids": 40}
GRACE = 12
DRY_LIMIT = 120  # only against what hangs: a dry run of a part takes some ten seconds


def main() -> int:
    """Measure all parts, or one of them in a process of its own; return the exit status."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--parts", nargs="+", default=list(LIMITS), choices=list(LIMITS))
    options.add_argument("--dry-run", action="store_true", help="toy sizes, on a CPU if need be")
    options.add_argument("--json", type=Path, help="by default benchmarks/results/gpu-NAME.json")
    options.add_argument("--part", choices=list(LIMITS), help=argparse.SUPPRESS)
    options.add_argument("--lines", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.part:
        _measure(args.part, args.lines, args.dry_run)
        return 0
    if not (args.dry_run or torch.cuda.is_available()):
        print("benchmarks.gpu needs a CUDA device; --dry-run goes through it without one")
        return 2
    return _all_parts(args.parts, args.dry_run, args.json or _path(args.dry_run))


def _measure(name: str, lines: Path, is_toy: bool) -> None:
    module = importlib.import_module(f"benchmarks.gpu.{name}")
    limit = DRY_LIMIT if is_toy else LIMITS[name]
    part = Part(name, lines, time.monotonic() + limit, is_toy, read_cells(lines))
    module.measure(part)


def _all_parts(parts: Sequence[str], dry_run: bool, path: Path) -> int:
    notes: dict[str, str] = {}
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "cells.jsonl"
        for name in parts:
            note = _process(name, lines, dry_run)
            if note:
                notes[name] = note
            cells = read_cells(lines)
            _write(path, cells, notes, dry_run)
            print(f"\n{name}{': ' + note if note else ''}")
            _show([cell for cell in cells if cell["part"] == name])
    print(path)
    failed = [cell for cell in cells if "failed" in cell]
    for cell in failed:
        print("FAILED", *(f"{key}={value}" for key, value in cell.items()))
    return 1 if failed or notes else 0


def _process(name: str, lines: Path, dry_run: bool) -> str | None:
    """Measure a part in a process of its own; return what went wrong with it as a whole."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", name, "--lines", str(lines)]
    command += ["--dry-run"] if dry_run else []
    # scikit-learn computes on a GPU only if SciPy is told before it is imported
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    limit = (DRY_LIMIT if dry_run else LIMITS[name]) + GRACE
    try:
        subprocess.run(command, cwd=project_root(), env=environment, check=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"ended after {limit} s"
    except subprocess.CalledProcessError as error:
        return f"ended with status {error.returncode}"
    return None


def _write(path: Path, cells: Sequence[Cell], notes: dict[str, str], dry_run: bool) -> None:
    machine: dict[str, Any] = {**facts(), "cuda": torch.version.cuda, "commit": commit()}
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        machine["gpu memory, GiB"] = round(properties.total_memory / 2**30, 1)
        machine["multiprocessors"] = properties.multi_processor_count
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": machine,
        "command": sys.argv,
        "date": datetime.date.today().isoformat(),
        "dry run": dry_run,
        "limits, s": dict.fromkeys(LIMITS, DRY_LIMIT) if dry_run else LIMITS,
        "parts that were cut short": notes,
        "cells": list(cells),
    }
    write_json(path, content)


def _show(cells: Sequence[Cell]) -> None:
    """Print the cells as a table; those that have a note or failed say so in the last column."""
    names = dict.fromkeys(key for cell in cells for key in cell)
    columns = [n for n in names if n not in ("part", "note", "failed") and "spread" not in n]
    table = plain_table(*columns, "note")
    for cell in cells:
        note = cell.get("failed") or cell.get("note") or ""
        table.add_row(*(_shown(cell.get(column)) for column in columns), note[:60])
    print(as_text(table, width=None), flush=True)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return "-" if value is None else str(value)


def _path(dry_run: bool) -> Path:
    if dry_run:
        return project_root() / "multirun" / "gpu_dry_run.json"
    name = torch.cuda.get_device_name().lower().replace(" ", "-")
    return project_root() / "benchmarks" / "results" / f"gpu-{name}.json"


if __name__ == "__main__":
    sys.exit(main())
