"""The loggers that come with Lightning, each with a run of its own for every run.

A run is named as its folder and grouped by its sweep, with all settings as configuration and final
and best figures as summary.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger

from fer_lightning.errors import InputError, one_line
from fer_lightning.processes import leads


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
    """Return the arguments of a logger that only the run knows, and its class if that is another.

    Args:
        logger: Its class.
        folder: Folder of the run.
    """
    sweep = sweep_of(folder)
    if issubclass(logger, CSVLogger):
        return {"save_dir": folder, "name": "csv"}
    if issubclass(logger, WandbLogger):
        of_sweep = {"group": sweep} if sweep else {}
        place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        given = {"name": folder.name, "save_dir": folder, "id": place, **of_sweep}
        if logger is WandbLogger:
            given["_target_"] = f"{OwnWandbLogger.__module__}.{OwnWandbLogger.__name__}"
        return given
    if issubclass(logger, MLFlowLogger):
        tags = {"folder": str(folder.resolve())} | ({"sweep": sweep} if sweep else {})
        return {"run_name": folder.name, "tags": tags}
    return {}


def sweep_of(folder: Path) -> str | None:
    """Return the name of the sweep that a run's folder is in, or None."""
    return folder.parent.name if (folder.parent / "multirun.yaml").exists() else None


def begin(logger: Logger, settings: Mapping[str, Any], *, goes_on: bool) -> None:
    """Begin a run in a logger, with its settings.

    Args:
        logger: Which one.
        settings: As `flat_settings` returns them.
        goes_on: Whether the run goes on from a checkpoint, under its former name.

    Raises:
        InputError: The logger cannot be used here.
    """
    try:
        if goes_on and isinstance(logger, MLFlowLogger):
            _find_former(logger)
            if logger._run_id is not None:  # parameters cannot be written again
                return
        logger.log_hyperparams(dict(settings))
    except Exception as error:  # each of them has its own
        if not isinstance(logger, WandbLogger | MLFlowLogger):
            raise
        hint = "; logger.wandb.offline=true needs no account" * isinstance(logger, WandbLogger)
        told = f"{type(logger).__name__}: {one_line(error)[:200]}{hint}"
        raise InputError(told) from error


def end(logger: Logger, figures: Mapping[str, float], epochs: int, status: str) -> None:
    """End a run in a logger.

    Args:
        logger: Which one.
        figures: Final and best figures; none of a run that has failed.
        epochs: Number of epochs that are over.
        status: `success` or `failed`.
    """
    if isinstance(logger, WandbLogger):
        if logger._experiment is not None:
            logger.experiment.summary.update(figures)
            logger.experiment.finish(exit_code=int(status != "success"))
        return
    if figures:
        logger.log_metrics(dict(figures), epochs)
    logger.finalize(status)


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
