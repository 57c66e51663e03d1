"""Where the runs are."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_lightning.errors import InputError
from fer_lightning.report.files import readable
from fer_lightning.run_log import ending, told_failure

# Files by which the folder of a run is known from its first second on, and those of older copies.
MARKS = {
    "train.log": "train",
    "metrics.csv": "train",
    "cluster.log": "cluster",
    "log_likelihood.csv": "cluster",
    "classify.log": "classify",
    "error.csv": "classify",
}


@dataclass(frozen=True)
class RunFolder:
    """A folder that a command of the project wrote to.

    Attributes:
        path: The folder.
        kind: The command: train, cluster or classify.
        sweep: Folder of the sweep that it is a part of, or None.
    """

    path: Path
    kind: str
    sweep: Path | None

    @property
    def name(self) -> str:
        """What the run is called on the page."""
        return readable(self.path.resolve().name)

    @property
    def sweep_name(self) -> str | None:
        """What its sweep is called on the page, or None."""
        return readable(self.sweep.name) if self.sweep else None

    @property
    def ending(self) -> str:
        """What the run is while it has no summary: failed if its log says so, else unfinished."""
        return ending(self.path)

    @property
    def failure(self) -> str:
        """Why it failed, as its log tells it."""
        return readable(told_failure(self.path) or "")


def run_folders(paths: Iterable[Path]) -> list[RunFolder]:
    """All runs in or below some folders, each once, in the order of their names.

    Raises:
        InputError: A path is no folder, or there is no run in any of them.
    """
    paths = list(paths)
    found: dict[Path, RunFolder] = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(f"PATH must be a folder that exists, got {str(path)!r}")
        for run in _below(path):
            found.setdefault(run.path.resolve(), run)
    if not found:
        raise InputError(f"PATH must hold runs, got none in {', '.join(map(str, paths))}")
    return list(found.values())


def _below(top: Path) -> Iterator[RunFolder]:
    for folder, names, files in os.walk(top):
        kinds = [kind for mark, kind in MARKS.items() if mark in files]
        if kinds:
            path = Path(folder)
            above = path.resolve().parent
            sweep = above if (above / "multirun.yaml").is_file() else None
            yield RunFolder(path, kinds[0], sweep)
            names.clear()
        names[:] = sorted((n for n in names if not n.startswith(".")), key=_by_number)


def _by_number(name: str) -> tuple[int, str]:
    """So that run 10 of a sweep comes after run 9; names that begin with a date stay in order."""
    number = name.split("_")[0]
    return (int(number) if number.isascii() and number.isdigit() else 0, name)
