"""Sections of the configuration: made into objects with readable mistakes, or told as flat keys."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from fer_lightning.errors import InputError, SettingError


@contextmanager
def section(name: str) -> Iterator[None]:
    """Name the settings in errors from inside this block as they stand in a section.

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
    """Everything that decides a run, under the keys that users type.

    Returns:
        Such as {"model": "mlp", "model.hidden": [16, 32], "optim": "sgd", "optim.lr": 0.01, ...}:
        numbers, strings, booleans, None and lists; of an object, its class in small letters.
    """
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    deciding = {name: part for name, part in resolved.items() if name not in ("study", "resume")}
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
            yield prefix.rstrip("."), value.rpartition(".")[2].lower()
        else:
            yield key, value
