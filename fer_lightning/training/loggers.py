"""Where curves go besides `metrics.csv`: TensorBoard, and the loggers of Lightning.

A run is a run of its own in each of them, also where several are trained in one process: named as
its folder, grouped by its sweep, with all settings as configuration and final and best figures as
summary.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from fer_lightning.data import SPLITS
from fer_lightning.errors import InputError, one_line
from fer_lightning.processes import leads
from fer_lightning.runs import EventFile, Summary

EXTRAS = ("wandb", "mlflow")  # of this project, which install what the loggers need


class TensorBoard(Logger):
    """Writes TensorBoard's events: a tag is a panel, and a sub-run is a line in it.

    `train/ce` is the tag `ce` in the sub-run `train`, so that training and validation share a
    panel, over epochs; any other metric keeps its name, over steps.

    Args:
        folder: Folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
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

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: settings are written when a run begins."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        epoch = metrics.get("epoch")
        for name, value in metrics.items():
            if name == "epoch" or not math.isfinite(value):
                continue  # TensorBoard's tables cannot sort by a column with others
            split, _, measure = name.partition("/")
            if measure in ("ce", "acc") and split in self._of_splits and epoch is not None:
                self._of_splits[split].add_scalar(measure, value, int(epoch) + 1)
            else:
                self.events.add_scalar(name, value, step or 0)

    def save(self) -> None:
        """Do nothing: events are written within a second."""

    def flush(self) -> None:
        """Write all events."""
        for events in (self.events, *self._of_splits.values()):
            events.flush()

    def finalize(self, status: str) -> None:
        self.flush()


class OwnWandbLogger(WandbLogger):
    """Lightning's logger for Weights & Biases, with a run of its own beside others."""

    @property
    def experiment(self) -> Any:
        """Return the run, which is begun by the first call."""
        import wandb

        if self._experiment is None and leads():
            mode = {"mode": "offline"} if self._offline else {}
            given = {name: value for name, value in self._wandb_init.items() if value is not None}
            self._experiment = wandb.init(**{"reinit": "create_new", **mode, **given})
            self._experiment.define_metric("trainer/global_step")
            self._experiment.define_metric("*", step_metric="trainer/global_step")
        return self._experiment


def arguments_of(logger: type, folder: Path) -> dict[str, Any]:
    """Return the arguments of a logger that only the run knows.

    Args:
        logger: Its class.
        folder: Folder of the run.
    """
    sweep = sweep_of(folder)
    if issubclass(logger, TensorBoard):
        return {"folder": folder}
    if issubclass(logger, CSVLogger):
        return {"save_dir": folder, "name": "csv"}
    if issubclass(logger, WandbLogger):
        of_sweep = {"group": sweep} if sweep else {}
        place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        return {"name": folder.name, "save_dir": folder, "id": place, **of_sweep}
    if issubclass(logger, MLFlowLogger):
        tags = {"folder": str(folder.resolve())} | ({"sweep": sweep} if sweep else {})
        return {"run_name": folder.name, "tags": tags}
    return {}


def sweep_of(folder: Path) -> str | None:
    """Return the name of the sweep that a run's folder is in, or None."""
    return folder.parent.name if (folder.parent / "multirun.yaml").exists() else None


class Loggers:
    """The loggers of a run, from its beginning to its end.

    Args:
        each: The loggers.
    """

    def __init__(self, each: list[Logger]) -> None:
        self.each = each

    @property
    def of_trainer(self) -> list[Logger]:
        """Return what the Trainer of this process has: those that do not lead log nothing."""
        return self.each if leads() else [DummyLogger() for _ in self.each[:1]]

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
            try:
                if goes_on and isinstance(logger, MLFlowLogger):
                    _find_former(logger)
                    if logger._run_id is not None:  # parameters cannot be written again
                        continue
                logger.log_hyperparams(dict(settings))
            except Exception as error:  # each of them has its own
                self.close(None)
                name = type(logger).__name__
                if isinstance(logger, WandbLogger | MLFlowLogger):
                    hint = "; logger.wandb.offline=true needs no account" * isinstance(
                        logger, WandbLogger
                    )
                    raise InputError(f"{name}: {one_line(error)[:200]}{hint}") from error
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
            elif isinstance(logger, WandbLogger):
                if logger._experiment is not None:
                    logger.experiment.summary.update(figures)
                    logger.experiment.finish(exit_code=int(status != "success"))
            else:
                if figures and summary is not None:
                    logger.log_metrics(figures, summary.epochs)
                logger.finalize(status)


def _figures(summary: Summary) -> dict[str, float]:
    """Return final and best figures under the names `final/val_acc` and the like."""
    found: dict[str, float | None] = {"best/epoch": summary.best.epoch}
    for kind, scores in (("final", summary.final), ("best", summary.best)):
        for split in SPLITS:
            for name, value in getattr(scores, split).items():
                found[f"{kind}/{split}_{name}"] = value
    return {name: value for name, value in found.items() if value is not None}


def _find_former(logger: MLFlowLogger) -> None:
    """Let a logger go on with the run of its folder, if it has begun one before."""
    client, folder = logger._mlflow_client, (logger.tags or {}).get("folder")
    experiment = client.get_experiment_by_name(logger._experiment_name)
    if experiment is None or folder is None:
        return
    text = str(folder).replace("'", "")
    found = client.search_runs([experiment.experiment_id], f"tags.folder = '{text}'", max_results=1)
    if found:
        logger._run_id = found[0].info.run_id
        client.update_run(logger._run_id, status="RUNNING")


def log_epoch(trainer: L.Trainer, means: Mapping[str, Tensor], epoch: int) -> None:
    """Tell callbacks and loggers the means of an epoch.

    It is what `LightningModule.log_dict` comes to at the end of an epoch, at a fraction of its
    cost, which small networks notice.

    Args:
        trainer: Whose callbacks and loggers.
        means: Under the names that they have in Lightning.
        epoch: From 0.
    """
    trainer.callback_metrics.update(means)
    figures = {name: mean.item() for name, mean in means.items()}
    trainer.progress_bar_metrics.update(figures)
    for logger in trainer.loggers:
        logger.log_metrics({**figures, "epoch": epoch}, trainer.global_step - 1)
        logger.save()
