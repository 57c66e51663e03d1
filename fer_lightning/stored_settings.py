"""The settings of a run as it stored them, from which only plain values are taken."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fer_lightning.errors import InputError, one_line

# The only classes that stored settings, which may come from anywhere, can name.
CLASSES = {
    "lightning.Trainer",
    "fer_lightning.networks.MLP",
    "fer_lightning.networks.CNN",
    "fer_lightning.optimizers.SGD",
    "fer_lightning.optimizers.AdamW",
    "fer_lightning.data.synthetic.Synthetic",
    "fer_lightning.data.tfd.Tfd",
    "fer_lightning.data.fer2013.Fer2013",
    "fer_lightning.data.folder.ClassFolders",
    "gmm.settings.MixtureSettings",
}


def stored_settings(folder: Path) -> tuple[DictConfig, list[str]]:
    """The configuration of a run, and the overrides that made it.

    Raises:
        InputError: They are not there or damaged, or name what a stored configuration cannot.
    """
    config, overrides = (_load(folder / ".hydra" / f"{n}.yaml") for n in ("config", "overrides"))
    if not isinstance(config, DictConfig) or not config or not isinstance(overrides, ListConfig):
        raise InputError(f"{folder / '.hydra'}: not the settings of a run")
    for key, value in _values(OmegaConf.to_container(config)):
        _require_plain(folder, key, value)
    _locate_faces(config, folder)
    return config, [str(override) for override in overrides]


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
    """Raise an `InputError` if a value calls something that a stored one must not."""
    called = set(re.findall(r"\$\{([^${}]*):", str(value))) - {"project_root"}
    of_hydra = [name for name in key.split(".") if name.startswith("_")]
    is_class = of_hydra == ["_target_"] and key.endswith("_target_") and value in CLASSES
    foreign = bool(of_hydra) and not is_class
    if foreign or called:
        raise InputError(
            f"{folder / '.hydra' / 'config.yaml'}: {key} must be a plain value or one of this "
            f"project's classes, got {str(value)[:100]!r}"
        )


def _locate_faces(config: DictConfig, folder: Path) -> None:
    """Let relative paths of faces mean what they meant where the run was started."""
    for key in ("data.path", "shards"):
        path = OmegaConf.select(config, key)
        if path is None or Path(path).expanduser().is_absolute():
            continue
        started_in = OmegaConf.select(_load(folder / ".hydra" / "hydra.yaml"), "hydra.runtime.cwd")
        if started_in and Path(started_in) != Path.cwd():
            OmegaConf.update(config, key, str(Path(started_in) / path))
