"""The parts of a run that its settings name: faces, network, loggers."""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from fer_lightning.data import DROPPED, Augmentation, ResidentFaces
from fer_lightning.errors import InputError, SettingError, one_line, require
from fer_lightning.runs import section
from fer_lightning.training.expression_network import ExpressionNetwork
from fer_lightning.training.loggers import AnyLogger, TensorBoard
from fer_lightning.training.losses import CrossEntropy

EXTRAS = ("wandb", "mlflow")  # of this project, which install what the loggers need


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


Kind = TypeVar("Kind", bound=ResidentFaces)


def faces_of(config: DictConfig, kind: type[Kind]) -> Kind:
    """Return the faces of a run, which are not read yet, as a kind of `ResidentFaces`."""
    with section("data"):
        return kind(
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


def model_of(config: DictConfig) -> ExpressionNetwork:
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
    model = ExpressionNetwork(
        network,
        optimizer,
        schedule,
        loss,
        tta=config.get("tta"),
        contrast=config.data.get("contrast"),
    )
    model.settings = {k: value for k, value in plain(config.model).items() if k != "_target_"}
    return model


def loggers(config: DictConfig, folder: Path) -> list[AnyLogger]:
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
            if issubclass(kind, TensorBoard):
                of_run: dict[str, Any] = {"folder": folder}
            else:
                from fer_lightning.training.foreign_loggers import arguments_of

                of_run = arguments_of(kind, folder)
            target = of_run.get("_target_", part._target_)
            given = {**of_run, **plain(part), "_target_": target}
            found.append(instantiate(given, _convert_="all"))
    return found


def device_of(accelerator: str) -> torch.device:
    """Return the device of a run as Lightning's Trainer chooses it.

    Args:
        accelerator: The setting; what Lightning alone knows stands for the CPU until it is asked.

    Raises:
        SettingError: PyTorch does not find it on this machine.
    """
    has_mps, has_cuda = torch.backends.mps.is_available(), torch.cuda.is_available()
    found = {
        "mps": "mps:0" * has_mps,
        "cuda": "cuda:0" * has_cuda,
        "gpu": "mps:0" if has_mps else "cuda:0" * has_cuda,
        "auto": "mps:0" if has_mps else "cuda:0" if has_cuda else "cpu",
    }.get(accelerator, "cpu")
    rule = "be one that PyTorch finds on this machine, such as cpu"
    require(bool(found), "trainer.accelerator", rule, accelerator)
    return torch.device(found)


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
        # Lightning's own mistakes are known by their name, as it need not be imported
        is_of_lightning = type(cause).__name__ == "MisconfigurationException"
        if is_of_lightning or isinstance(cause, ModuleNotFoundError | ValueError):
            extra = next((extra for extra in EXTRAS if extra in str(cause)), None)
            hint = f"; pip install 'fer-lightning[{extra}]'" if extra else ""
            raise InputError(f"{name}: {one_line(str(cause))[:200]}{hint}") from error
        raise
