"""The parts of a run that its settings name: faces, network, callbacks, loggers, Trainer."""

import functools
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from fer_lightning.data import DROPPED, Augmentation, FaceDataModule
from fer_lightning.errors import InputError, SettingError, one_line, require
from fer_lightning.runs import section
from fer_lightning.training.classifier import ExpressionClassifier
from fer_lightning.training.ddp import LeaderWritesDDP
from fer_lightning.training.lean import NoProfiler
from fer_lightning.training.loggers import (
    EXTRAS,
    Loggers,
    OwnWandbLogger,
    arguments_of,
)
from fer_lightning.training.losses import CrossEntropy

# What of Lightning's Trainer a run decides by itself, and what to type instead.
REFUSED = {
    "default_root_dir": "hydra.run.dir=FOLDER",
    "barebones": "engine=fused, which is faster",
    "model_registry": "the checkpoints in its folder",
}


def plain(part: DictConfig) -> dict[str, Any]:
    """Return a section of the configuration as a dictionary."""
    container = OmegaConf.to_container(part, resolve=True)
    assert isinstance(container, dict)
    return {str(name): value for name, value in container.items()}


def made(part: DictConfig, of_pytorch: str) -> Any:
    """Return the object of a section; of a class of PyTorch, a partial that waits for the rest.

    Args:
        part: With `_target_`.
        of_pytorch: Name of the class whose subclasses are made later.
    """
    base, target = get_class(of_pytorch), get_class(part._target_)
    is_partial = issubclass(target, base) or part.get("_partial_", False)
    if is_partial:
        known = inspect.signature(target).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
        for name in map(str, part):
            if not name.startswith("_") and name not in known and not open_ended:
                raise TypeError(f"{target.__name__}() got an unexpected keyword argument '{name}'")
    return instantiate(part, _convert_="all", _partial_=is_partial)


def datamodule_of(config: DictConfig) -> FaceDataModule:
    """Return the faces of a run, which are not read yet."""
    with section("data"):
        return FaceDataModule(
            instantiate(config.data.source, _convert_="all"),
            batch_size=config.data.batch_size,
            seed=config.seed,
            cache_dir=config.data.cache_dir,
            cv_folds=config.data.cv_folds,
            cv_fold=config.data.cv_fold,
            balanced=config.data.get("balanced", False),  # not in older runs
            augment=augmentation(config),
            contrast=config.data.get("contrast"),
            drop=config.data.get("drop"),
            drop_findings=config.data.get("drop_findings", DROPPED),
        )


def augmentation(config: DictConfig) -> Augmentation | None:
    """Return how training faces are changed, or None if they are left as they are."""
    if not config.get("augment"):
        return None
    with told("augment"):
        augment: Augmentation = instantiate(config.augment, _convert_="all")
    return augment


def model_of(config: DictConfig) -> ExpressionClassifier:
    """Return the network of a run, and how it is trained."""
    with told("model"):
        network = instantiate(config.model, _convert_="all")
    with told("optim"):
        optimizer = made(config.optim, "torch.optim.Optimizer")
    with told("loss"):
        loss = instantiate(config.get("loss"), _convert_="all") or CrossEntropy()
    schedule = None
    if config.get("schedule"):
        with told("schedule"):
            schedule = made(config.schedule, "torch.optim.lr_scheduler.LRScheduler")
    log_steps = config.trainer.get("log_every_n_steps") is not None
    model = ExpressionClassifier(
        network,
        optimizer,
        schedule,
        loss,
        log_steps,
        tta=config.get("tta"),
        contrast=config.data.get("contrast"),
    )
    model.settings = {k: value for k, value in plain(config.model).items() if k != "_target_"}
    return model


def callbacks(config: DictConfig) -> list[L.Callback]:
    """Return the callbacks that the settings name."""
    found = []
    for name, part in (config.get("callbacks") or {}).items():
        if part is not None:
            with told(f"callbacks.{name}"):
                found.append(instantiate(part, _convert_="all"))
    return found


def loggers(config: DictConfig, folder: Path) -> list[Logger]:
    """Return the loggers that the settings name.

    Args:
        config: The composed configuration.
        folder: Folder of the run.
    """
    found = []
    for name, part in (config.get("logger") or {}).items():
        if part is None:
            continue
        with told(f"logger.{name}"):
            kind = get_class(part._target_)
            given = {**arguments_of(kind, folder), **plain(part)}
            if kind is WandbLogger:
                given["_target_"] = f"{OwnWandbLogger.__module__}.{OwnWandbLogger.__name__}"
            found.append(instantiate(given, _convert_="all"))
    return found


def trainer_of(
    config: DictConfig, folder: Path, own: list[L.Callback], its_loggers: Loggers
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
        "logger": its_loggers.of_trainer,
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
            return functools.partial(make, **settings)()
    except (MisconfigurationException, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        if "backend found" in str(error):  # of an accelerator
            rule = "be one that PyTorch finds on this machine, such as cpu"
            raise SettingError("trainer.accelerator", rule, config.trainer.accelerator) from error
        raise InputError(f"trainer: {one_line(error)}") from error  # Lightning checks its own


def _listed(found: Any) -> list[Any]:
    if found is None:
        return []
    return list(found) if isinstance(found, list | tuple) else [found]


def _loggers_of_trainer(given: Any, folder: Path) -> list[Logger]:
    """Return the loggers of `trainer.logger`, where true stands for Lightning's default one."""
    if given is True:
        return [TensorBoardLogger(folder)]
    return [] if given is False else _listed(given)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Tell in one line what is wrong with a section that names a class.

    Args:
        name: Of the section.

    Raises:
        InputError: The class cannot be found, or refuses its arguments.
    """
    try:
        with section(name):
            yield
    except (InstantiationException, ImportError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        cause = error.__cause__ or error
        text = str(error)
        missing = re.search(r"locating target '([^']+)'|loading '([^']+)'", text)
        if missing:
            rule = "be a class that Python finds"
            raise SettingError(f"{name}._target_", rule, missing[1] or missing[2]) from error
        if isinstance(cause, ModuleNotFoundError | MisconfigurationException | ValueError):
            extra = next((extra for extra in EXTRAS if extra in str(cause)), None)
            hint = f"; pip install 'fer-lightning[{extra}]'" if extra else ""
            raise InputError(f"{name}: {one_line(cause)[:200]}{hint}") from error
        raise
