"""Lightning's Trainer of a run, as the settings want it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from hydra.utils import instantiate
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from fer_lightning.errors import InputError, SettingError, one_line, require
from fer_lightning.processes import leads
from fer_lightning.training.assembly import told
from fer_lightning.training.by_lightning.ddp import LeaderWritesDDP
from fer_lightning.training.by_lightning.lean import NoProfiler
from fer_lightning.training.loggers import Loggers

# What of Lightning's Trainer a run decides by itself, and what to type instead.
REFUSED = {
    "default_root_dir": "hydra.run.dir=FOLDER",
    "barebones": "engine=fused, which is faster",
    "model_registry": "the checkpoints in its folder",
}


def callbacks(config: DictConfig) -> list[L.Callback]:
    """Return the callbacks that the settings name."""
    found = []
    for name, part in (config.get("callbacks") or {}).items():
        if part is not None:
            with told(f"callbacks.{name}"):
                found.append(instantiate(part, _convert_="all"))
    return found


def trainer_of(
    config: DictConfig, folder: Path, own: Sequence[L.Callback], its_loggers: Loggers
) -> L.Trainer:
    """Return the Trainer of a run.

    Args:
        config: The composed configuration.
        folder: Folder of the run.
        own: The callbacks that every run has.
        its_loggers: Its loggers, to which those of `trainer.logger` are added.

    Raises:
        InputError: Lightning refuses its settings.
    """
    for name, instead in REFUSED.items():
        if config.trainer.get(name) not in (None, False):
            rule = f"be left alone, as the run decides it; use {instead}"
            raise SettingError(f"trainer.{name}", rule, config.trainer[name])
    checkpoints = config.trainer.get("enable_checkpointing")
    rule = "be true, as a run goes on from its checkpoints; trainer=debug writes nothing"
    require(checkpoints is not False, "trainer.enable_checkpointing", rule, checkpoints)
    with told("trainer"):
        make = instantiate(config.trainer, _convert_="all", _partial_=True)
    given = make.keywords
    of_user = [*callbacks(config), *_listed(given.get("callbacks"))]
    its_loggers.each += _loggers_of_trainer(given.get("logger"), folder)
    settings = {
        "callbacks": [*own, *of_user],
        "logger": of_trainer(its_loggers),
        "default_root_dir": folder,
        "profiler": given.get("profiler") or NoProfiler(),
        # this project's bar is added when the training begins
        "enable_progress_bar": any(isinstance(each, ProgressBar) for each in of_user),
    }
    if not own:  # of a run that writes nothing
        settings["enable_checkpointing"] = False
    if config.trainer.get("strategy") == "ddp":
        settings["strategy"] = LeaderWritesDDP() if config.trainer.devices > 1 else "auto"
    try:
        with told("trainer"):
            trainer: L.Trainer = make(**settings)
            return trainer
    except (MisconfigurationException, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        if "backend found" in str(error):  # of an accelerator
            rule = "be one that PyTorch finds on this machine, such as cpu"
            raise SettingError("trainer.accelerator", rule, config.trainer.accelerator) from error
        raise InputError(f"trainer: {one_line(error)}") from error  # Lightning checks its own


def of_trainer(its_loggers: Loggers) -> list[Any]:
    """Return what the Trainer of this process logs to: those that do not lead log nothing."""
    each = its_loggers.each
    return list(each) if leads() else [DummyLogger() for _ in each[:1]]


def _listed(found: Any) -> list[Any]:
    if found is None:
        return []
    return list(found) if isinstance(found, list | tuple) else [found]


def _loggers_of_trainer(given: Any, folder: Path) -> list[Logger]:
    """Return the loggers of `trainer.logger`, where true stands for Lightning's default one."""
    if given is True:
        return [TensorBoardLogger(folder)]
    return [] if given is False else _listed(given)
