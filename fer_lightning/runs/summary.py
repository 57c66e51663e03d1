"""How a run ended: `summary.json`, where its facts come from, and what its log tells."""

import logging
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lightning.data import SPLITS
from fer_lightning.errors import InputError
from fer_lightning.files import read_json, write_json
from fer_lightning.plots import as_text, cell, plain_table

if TYPE_CHECKING:  # PyTorch takes a second to import
    from fer_lightning.data import FaceSplits, Source

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Scores:
    """Cross-entropy (`ce`, nats) and accuracy (`acc`, in [0, 1]) of one network on all splits.

    `epoch` counts from 1. All figures are None if the network has diverged.
    """

    epoch: int | None
    train: Figures
    val: Figures
    test: Figures

    @classmethod
    def none(cls) -> "Scores":
        """Return scores without values, for a network that does not exist."""
        nothing: Figures = {"ce": None, "acc": None}
        return cls(None, nothing, nothing, nothing)


@dataclass(frozen=True)
class Summary:
    """The content of `summary.json`; docs/files.md says what each entry means."""

    final: Scores
    best: Scores
    n_parameters: int
    epochs: int
    seconds: float
    diverged: bool
    diverged_epoch: int | None
    stopped: str | None
    seed: int
    overrides: list[str]
    settings: dict[str, Any]
    data: dict[str, Any]
    device: str
    versions: dict[str, str | None]
    commit: str | None

    def write(self, path: Path) -> None:
        """Write the summary as JSON."""
        write_json(path, asdict(self))


def score_table(summary: Summary) -> str:
    """Return a table of cross-entropy and accuracy on all splits, of the last and best epoch."""
    columns = [f"{split} {name}" for split in SPLITS for name in ("ce", "acc")]
    table = plain_table("", "epoch", *columns)
    by = str(summary.settings.get("checkpoint.monitor", "val/acc")).replace("/", " ")
    for name, scores in (("last epoch", summary.final), (f"best by {by}", summary.best)):
        cells = [
            shown
            for split in SPLITS
            for figures in [getattr(scores, split)]
            for shown in (cell(figures["ce"], ".4f"), cell(figures["acc"], ".2%"))
        ]
        table.add_row(name, cell(scores.epoch, "d"), *cells)
    return as_text(table)


log = logging.getLogger(__name__)


def is_finished(summary: Mapping[str, Any], pause: int | None) -> bool:
    """Return whether a run with a summary has nothing left to do.

    Args:
        summary: Its content; empty for a run that has none.
        pause: The epoch after which the run is to stop, or None for its last.
    """
    if not summary or not summary.get("stopped"):
        return bool(summary)
    return pause is not None and int(summary["epochs"]) >= pause


def status_of(summary: Mapping[str, Any]) -> str:
    """Return how a run with a summary ended: done, diverged, or such as `stopped at rung 2`."""
    if summary.get("diverged") is True:
        return "diverged"
    stopped = summary.get("stopped")  # which older runs do not have
    return f"stopped {stopped}" if stopped else "done"


def finished_run(folder: Path, pause: int | None = None) -> dict[str, Any] | None:
    """Return the summary of a run that is already finished, and log that; return None otherwise."""
    summary = run_summary(folder)
    if not is_finished(summary, pause):
        return None
    log.info("done already: %s", folder)
    return summary


def run_summary(folder: Path) -> dict[str, Any]:
    """Return the content of a run's summary.json, or an empty dict if it has none.

    Raises:
        InputError: It is damaged.
    """
    path = folder / "summary.json"
    if not path.exists():
        return {}
    try:
        return read_json(path)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy", "fer-lightning")


def data_facts(source: "Source", splits: "FaceSplits", left_out: int = 0) -> dict[str, Any]:
    """Return the name, split sizes and fingerprint of a data set, and how many were left out."""
    sizes = splits.sizes() | ({"left_out": left_out} if left_out else {})
    return {"name": source.name, **sizes, "fingerprint": splits.fingerprint()}


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that decide what a run computes."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


@cache
def _version(package: str) -> str | None:
    """Return the version of an installed package; None of a clone that is on the path alone."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def commit() -> str | None:
    """Return the project's commit, with `-dirty` if files have changed since; None without git.

    It is looked up once: a process goes on with the code that it has loaded.
    """
    clone = Path(__file__).resolve().parents[2]
    if not (clone / ".git").exists():  # an installed package may lie within another repository
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


TAIL_BYTES = 1 << 16  # that may hold a traceback
# The project's own: launchers end a job that has failed with success.
_RECORD = re.compile(r"^\[[^]]*\]\[(?:fer_lightning|gmm)[^]]*\]\[([A-Z]+)\] (.*)$", re.MULTILINE)

_TRAINED = re.compile(r"^\[([\d :,-]+)\]\[fer_lightning\.training\.", re.MULTILINE)


def told_failure(folder: Path) -> str | None:
    """Return the error message in the last record of a run's log, or None if it is no error."""
    for log in sorted(folder.glob("*.log")):
        records = _RECORD.findall(_tail(log))
        if records and records[-1][0] == "ERROR":
            of_job = re.fullmatch(r"failed: (.*); [^;]*", records[-1][1])
            return of_job[1] if of_job else str(records[-1][1])
    return None


def trained_until(folder: Path) -> str:
    """Return when the training of a run last wrote to its log, as text that sorts; "" if never."""
    return max((time for log in folder.glob("*.log") for time in _TRAINED.findall(_tail(log))),
               default="")  # fmt: skip


def ending(folder: Path) -> str:
    """Return the state of a run without a summary: `failed` or `unfinished`.

    An unfinished run was cut off or is still going on.
    """
    return "unfinished" if told_failure(folder) is None else "failed"


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
