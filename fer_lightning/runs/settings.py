"""The settings of a run: made into objects, told as flat keys, and read back from its folder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fer_lightning.errors import InputError, SettingError, one_line
from fer_lightning.files import read_yaml, value_at
from fer_lightning.runs.classes import FORMER_NAMES, is_allowed
from fer_lightning.runs.summary import run_summary


@contextmanager
def section(name: str) -> Iterator[None]:
    """Put the name of a section before the settings named in errors from inside this block.

    Raises:
        InputError: A setting of the section breaks its rule, or does not exist.
    """
    try:
        yield
    except SettingError as error:
        raise error.within(name) from None
    except (InstantiationException, TypeError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, SettingError):
            raise cause.within(name) from None
        if isinstance(cause, InputError):
            raise cause from None
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(cause))
        if isinstance(cause, TypeError) and unknown:
            key = f"{name}.{unknown[1]}"
            raise InputError(f"{key} must be a setting that exists, got an unknown key") from None
        raise


def flat_settings(config: DictConfig) -> dict[str, Any]:
    """Return all settings that decide a run, under the keys that users type.

    Returns:
        Such as {"model": "mlp", "model.hidden": [16, 32], "optim": "sgd", "optim.lr": 0.01, ...}:
        numbers, strings, booleans, None and lists; of an object, its class in small letters.
    """
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    deciding = {
        name: part for name, part in resolved.items() if name not in ("study", "resume", "pause")
    }
    flat = dict(_flat(deciding))
    source = [key for key in flat if key.startswith("data.source")]
    flat["data"] = flat["data.source"]
    return {key: value for key, value in sorted(flat.items()) if key not in source}


def _flat(section: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        elif name == "_target_":
            # PyTorch's SGD is not this project's
            short = value if value.startswith("torch.") else value.rpartition(".")[2].lower()
            yield prefix.rstrip("."), short
        else:
            yield key, value


def stored_settings(folder: Path) -> tuple[DictConfig, list[str]]:
    """Return the stored configuration of a run, and the overrides that made it.

    Raises:
        InputError: They are not there or damaged, or name what a stored configuration cannot.
    """
    config, overrides = (_load(folder / ".hydra" / f"{n}.yaml") for n in ("config", "overrides"))
    if not isinstance(config, DictConfig) or not config or not isinstance(overrides, ListConfig):
        raise InputError(f"{folder / '.hydra'}: not the settings of a run")
    for key, value in _values(OmegaConf.to_container(config)):
        if key.endswith("_target_") and value in FORMER_NAMES:
            value = FORMER_NAMES[value]
            OmegaConf.update(config, key, value)
        _require_plain(folder, key, value)
    if "trainer" in config and "logger" not in config:
        _of_version_0_1(config)
    _locate_faces(config, folder)
    return config, [str(override) for override in overrides]


def _of_version_0_1(config: DictConfig) -> None:
    """Change the settings of a run of version 0.1 into those that train it as then."""
    board = {"tensorboard": {"_target_": "fer_lightning.training.TensorBoard"}}
    OmegaConf.update(config, "logger", board, force_add=True)
    OmegaConf.update(config, "trainer.enable_progress_bar", True, force_add=True)
    OmegaConf.update(config, "trainer.log_every_n_steps", None, force_add=True)
    config.get("data", {}).pop("minibatches_per_step", None)


def _load(path: Path) -> Any:
    try:
        return OmegaConf.load(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there, so the run cannot go on") from error
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"{path}: damaged ({one_line(error)[:100]})") from error


def _values(part: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for name, value in items:
        inner = f"{key}.{name}".lstrip(".")
        if isinstance(value, dict | list):
            yield from _values(value, inner)
        else:
            yield inner, value


def _require_plain(folder: Path, key: str, value: Any) -> None:
    """Raise an `InputError` if a stored value names a class or resolver that is not allowed."""
    called = set(re.findall(r"\$\{([^${}]*):", str(value))) - {"project_root"}
    of_hydra = [name for name in key.split(".") if name.startswith("_")]
    is_class = of_hydra == ["_target_"] and key.endswith("_target_") and is_allowed(key, value)
    foreign = bool(of_hydra) and not is_class
    if foreign or called:
        raise InputError(
            f"{folder / '.hydra' / 'config.yaml'}: {key} must be a plain value or one of this "
            f"project's classes, or one of the kind that belongs there, got {str(value)[:100]!r}"
        )


def _locate_faces(config: DictConfig, folder: Path) -> None:
    """Make relative paths of faces and audits start at the folder in which the run was started."""
    for key in ("data.path", "data.labels", "data.drop", "shards"):
        path = OmegaConf.select(config, key)
        if path is None or Path(path).expanduser().is_absolute():
            continue
        started_in = OmegaConf.select(_load(folder / ".hydra" / "hydra.yaml"), "hydra.runtime.cwd")
        if started_in and Path(started_in) != Path.cwd():
            OmegaConf.update(config, key, str(Path(started_in) / path))


def run_settings(folder: Path) -> dict[str, Any]:
    """Return the plain values of a run's settings, under the keys that users type.

    They come from summary.json; for a run that has not ended, only the settings of its faces.
    """
    settings = run_summary(folder).get("settings")
    if isinstance(settings, dict):
        return settings
    path = folder / ".hydra" / "config.yaml"
    data, source = _stored(path, "data"), _stored(path, "data", "source")
    if not source:
        return {}
    plain = {f"data.{key!s}": value for key, value in data.items() if "${" not in str(value)}
    return {**plain, "data": str(source.get("_target_")).rpartition(".")[2].lower()}


def _stored(path: Path, *keys: str) -> dict[str, Any]:
    """Return a part of one of Hydra's files, or an empty dict if it is missing."""
    if not path.exists():
        return {}
    try:
        part = value_at(read_yaml(path), *keys)
    except InputError as error:
        raise InputError(f"{path.parent}: {error}") from error
    return part if isinstance(part, dict) else {}


def task_settings(job: DictConfig) -> DictConfig:
    """Return the configuration of a job without Hydra's own settings."""
    return OmegaConf.masked_copy(job, [str(key) for key in job if key != "hydra"])
