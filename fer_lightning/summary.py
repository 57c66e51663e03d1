"""The figures of a run: `summary.json` and the table at its end."""

import io
import json
import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fer_lightning.atomic import whole_file
from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.datamodule import FaceDataModule
from fer_lightning.data.faces import SPLITS
from fer_lightning.scoring import score

PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy", "fer-lightning")
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
    def of(cls, model: ExpressionClassifier, datamodule: FaceDataModule, epoch: int) -> "Scores":
        """The scores of a network as it is."""
        return cls(epoch, *(score(model, datamodule.resident(split)) for split in SPLITS))

    @classmethod
    def none(cls) -> "Scores":
        """What stands for a network that does not exist."""
        nothing: Figures = {"ce": None, "acc": None}
        return cls(None, nothing, nothing, nothing)


@dataclass(frozen=True)
class Summary:
    """The content of `summary.json`; the README says what each entry means."""

    final: Scores
    best: Scores
    n_parameters: int
    epochs: int
    seconds: float
    diverged: bool
    diverged_epoch: int | None
    seed: int
    overrides: list[str]
    data: dict[str, Any]
    device: str
    versions: dict[str, str]
    commit: str | None

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        with whole_file(path) as part:
            part.write_text(json.dumps(asdict(self), indent=2, allow_nan=False) + "\n")


def data_facts(datamodule: FaceDataModule) -> dict[str, Any]:
    """Name, split sizes and fingerprint of a data set."""
    splits = datamodule.splits
    return {
        "name": datamodule.source.name,
        **splits.sizes(),
        "fingerprint": splits.fingerprint(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what a run computes."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def commit() -> str | None:
    """The project's commit, with `-dirty` where files have changed since, or None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def score_table(summary: Summary) -> str:
    """Cross-entropy and accuracy on all splits, of the last epoch and of the best."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("epoch", justify="right")
    for split in SPLITS:
        table.add_column(f"{split} ce", justify="right")
        table.add_column(f"{split} acc", justify="right")
    for name, scores in (("last epoch", summary.final), ("best by val acc", summary.best)):
        cells = [
            cell
            for split in SPLITS
            for figures in [getattr(scores, split)]
            for cell in (_cell(figures["ce"], ".4f"), _cell(figures["acc"], ".2%"))
        ]
        table.add_row(name, _cell(scores.epoch, "d"), *cells)
    out = io.StringIO()
    Console(file=out, width=100).print(table)
    return out.getvalue().rstrip()


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
