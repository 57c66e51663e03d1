"""The figures of a run: `summary.json` and the table at its end."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fer_lightning.atomic import write_json
from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.datamodule import FaceDataModule
from fer_lightning.data.faces import SPLITS
from fer_lightning.scoring import score
from fer_lightning.tables import as_text, cell, plain_table

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
    settings: dict[str, Any]
    data: dict[str, Any]
    device: str
    versions: dict[str, str]
    commit: str | None

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, asdict(self))


def score_table(summary: Summary) -> str:
    """Cross-entropy and accuracy on all splits, of the last epoch and of the best."""
    columns = [f"{split} {name}" for split in SPLITS for name in ("ce", "acc")]
    table = plain_table("", "epoch", *columns)
    for name, scores in (("last epoch", summary.final), ("best by val acc", summary.best)):
        cells = [
            shown
            for split in SPLITS
            for figures in [getattr(scores, split)]
            for shown in (cell(figures["ce"], ".4f"), cell(figures["acc"], ".2%"))
        ]
        table.add_row(name, cell(scores.epoch, "d"), *cells)
    return as_text(table)
