"""Where curves go besides `metrics.csv`: TensorBoard, and the loggers of Lightning.

A run is a run of its own in each of them, also where several are trained in one process: named as
its folder, grouped by its sweep, with all settings as configuration and final and best figures as
summary.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from fer_lightning.data import SPLITS
from fer_lightning.processes import leads, local_rank
from fer_lightning.runs import EventFile, Summary

if TYPE_CHECKING:  # Lightning takes seconds to import, and a run may do without
    from lightning.pytorch.loggers import Logger


class TensorBoard:
    """Writes TensorBoard's events: a tag is a panel, and a sub-run is a line in it.

    `train/ce` is the tag `ce` in the sub-run `train`, so that training and validation share a
    panel, over epochs; any other metric keeps its name, over steps. It has all that Lightning's
    Trainer asks of a logger, and is there where Lightning is not.

    Args:
        folder: Folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.events = EventFile(folder)
        self._of_splits = {split: EventFile(folder / split) for split in SPLITS}

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.events.folder)

    root_dir = log_dir = save_dir
    group_separator = "/"

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: settings are written when a run begins."""

    def log_graph(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    def after_save_checkpoint(self, checkpoint_callback: object) -> None:
        """Do nothing."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if not (leads() and local_rank() == 0):
            return
        epoch = metrics.get("epoch")
        others: dict[str, float] = {}
        of_splits: dict[str, dict[str, float]] = {split: {} for split in self._of_splits}
        for name, value in metrics.items():
            if name == "epoch" or not math.isfinite(value):
                continue  # TensorBoard's tables cannot sort by a column with others
            split, _, measure = name.partition("/")
            if measure in ("ce", "acc") and split in of_splits and epoch is not None:
                of_splits[split][measure] = value
            else:
                others[name] = value
        for split, values in of_splits.items():
            self._of_splits[split].add_scalars(values, int(epoch or 0) + 1)
        self.events.add_scalars(others, step or 0)

    def save(self) -> None:
        """Do nothing: events are written within a second."""

    def flush(self) -> None:
        """Write all events."""
        for events in (self.events, *self._of_splits.values()):
            events.flush()

    def finalize(self, status: str) -> None:
        self.flush()


AnyLogger = Union[TensorBoard, "Logger"]


class Loggers:
    """The loggers of a run, from its beginning to its end.

    Args:
        each: The loggers.
    """

    def __init__(self, each: list[AnyLogger]) -> None:
        self.each = each

    @property
    def boards(self) -> list[TensorBoard]:
        """Return those that write for TensorBoard."""
        return [logger for logger in self.each if isinstance(logger, TensorBoard)]

    def flush(self) -> None:
        """Write what TensorBoard shows."""
        for board in self.boards:
            board.flush()

    def open(self, settings: Mapping[str, Any], *, goes_on: bool) -> None:
        """Begin the run in each logger but TensorBoard, with its settings.

        Args:
            settings: As `flat_settings` returns them.
            goes_on: Whether the run goes on from a checkpoint, under its former name.

        Raises:
            InputError: A logger cannot be used here.
        """
        for logger in self.each:
            if isinstance(logger, TensorBoard):
                continue
            from fer_lightning.training.foreign_loggers import begin

            try:
                begin(logger, settings, goes_on=goes_on)
            except Exception:
                self.close(None)
                raise

    def close(self, summary: Summary | None) -> None:
        """End the run in each logger.

        Args:
            summary: With its figures; None of a run that has failed.
        """
        figures = {} if summary is None else _figures(summary)
        status = "success" if summary is not None and not summary.diverged else "failed"
        for logger in self.each:
            if isinstance(logger, TensorBoard):
                logger.flush()
            else:
                from fer_lightning.training.foreign_loggers import end

                end(logger, figures, 0 if summary is None else summary.epochs, status)


def _figures(summary: Summary) -> dict[str, float]:
    """Return final and best figures under the names `final/val_acc` and the like."""
    found: dict[str, float | None] = {"best/epoch": summary.best.epoch}
    for kind, scores in (("final", summary.final), ("best", summary.best)):
        for split in SPLITS:
            for name, value in getattr(scores, split).items():
                found[f"{kind}/{split}_{name}"] = value
    return {name: value for name, value in found.items() if value is not None}


def log_figures(
    loggers: Iterable[AnyLogger], figures: Mapping[str, float], epoch: int, step: int
) -> None:
    """Log the figures of an epoch.

    Args:
        loggers: Where.
        figures: Under the names that they have in Lightning.
        epoch: From 0.
        step: The last step of the epoch, from 0.
    """
    for logger in loggers:
        logger.log_metrics({**figures, "epoch": epoch}, step)
        logger.save()
