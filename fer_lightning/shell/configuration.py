"""The shipped configuration: where it lies, what its YAML files can ask for, and mistakes in it."""

import difflib
import functools
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fer_lightning.errors import InputError, SettingError
from fer_lightning.files import new_folder

PACKAGE = Path(__file__).resolve().parents[1]
# A wheel has the configuration inside the package; a clone has it beside the package.
IS_CLONE = not (PACKAGE / "conf").is_dir()
CONF = PACKAGE.parent / "conf" if IS_CLONE else PACKAGE / "conf"


def project_root() -> Path:
    """Return the folder that holds `multirun/`: the clone, or else the current folder."""
    return PACKAGE.parent if IS_CLONE else Path.cwd()


def register_resolvers() -> None:
    """Register the resolvers, such as `run_name`, that the YAML files use."""
    # conf/hydra/launcher has defaults of our own for launchers of plugins
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated", UserWarning)
    OmegaConf.register_new_resolver("project_root", lambda: str(project_root()), replace=True)
    OmegaConf.register_new_resolver("new_folder", new_folder, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)
    OmegaConf.register_new_resolver("experiment_or", _experiment_or, replace=True)


def _run_name(job: int, overrides: ListConfig, *, _root_: DictConfig) -> str:
    """Return the name of a job's folder, from its number and its overrides."""
    from fer_lightning.runs import run_name  # which imports Hydra, and not every command needs

    varying, sweep = _varying(_root_.hydra.sweep.dir), Path(_root_.hydra.sweep.dir).name
    told = [  # the experiment is in the name of the sweep already
        override
        for override in overrides
        if not (override.startswith("experiment=") and override[11:] in sweep)
    ]
    return run_name(job, told, varying)


@functools.cache
def _varying(sweep: str) -> frozenset[str] | None:
    """Return the keys that vary in a sweep, or None if Hydra has not written them yet."""
    from fer_lightning.runs import swept_keys

    folder = Path(sweep)
    return frozenset(swept_keys(folder)) if (folder / "multirun.yaml").exists() else None


def _experiment_or(default: str, *, _root_: DictConfig) -> str:
    """Return the name of the chosen experiment, or a default."""
    return _root_.hydra.runtime.choices.get("experiment") or default


def explain(error: Exception, config_name: str) -> Exception | str:
    """Return a message that explains a mistake in an override, or else the error itself."""
    group = re.search(r"Could not find '([\w/]+)/([^'/]+)'\s+Available options[^:]+:\s", str(error))
    if group:
        options = str(error)[group.end() :].split("Config search path")[0].split()
        return f"{group[1]} must be one of {', '.join(options)}, got {group[2]!r}"
    several = re.search(r"Ambiguous value for argument '(.+?)'\n", str(error))
    if several:
        return f"{several[1]} has several values; give -m too, for a sweep over them"
    unknown = re.search(r"Could not override '([^']+)'", str(error))
    if unknown and isinstance(error.__cause__, OmegaConfBaseException):
        if "is not in struct" in str(error.__cause__):
            hint = _hint(unknown[1], config_name)
            return f"{unknown[1]} must be a setting that exists, got an unknown key{hint}"
        return f"{unknown[1]}: {str(error.__cause__).splitlines()[0]}"
    return error


# Groups of which one option is chosen; others, such as callbacks, take a list.
ONE_OF = ("augment", "data", "experiment", "model", "optim", "schedule", "trainer")


def require_options(words: Sequence[str]) -> None:
    """Raise a `SettingError` where a word chooses no option of a group, or several at once.

    Hydra would merge several, so that the settings of one mix with those of another.
    """
    for word in words:
        group, _, value = word.lstrip("+").partition("=")
        is_name = not re.match(r"\[|(null|true|false|-?[\d.]+)$", value)
        if group not in ONE_OF or is_name:
            continue
        options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        raise SettingError(group, f"be one of {', '.join(options)}", value)


def require_keys(words: Sequence[str], config_name: str) -> None:
    """Raise an `InputError` where a word adds a setting that nothing reads, as + lets it.

    Arguments of classes can be added, such as `+trainer.precision=16-mixed`.
    """
    if any(word.split("=")[0] in ("--config-dir", "-cd") for word in words):
        return  # which may have settings of its own
    for word in words:
        added = re.match(r"\+{1,2}([\w./]+)=", word)
        if not added or added[1].startswith("hydra"):
            continue
        key = added[1]
        top, _, below = key.partition(".")
        if (below and top != "data") or ((CONF / top).is_dir() and not below):
            continue
        if below.split(".")[0] == "source" or key in _known_keys(config_name):
            continue
        hint = _hint(key, config_name)
        raise InputError(f"{key} must be a setting that exists, got an unknown key{hint}")


def _known_keys(config_name: str) -> set[str]:
    """Return the keys of the defaults, and those of all data sets."""
    keys = set(_default_keys(config_name))
    for file in (CONF / "data").glob("*.yaml"):
        keys |= {f"data.{name}" for name in map(str, OmegaConf.load(file))}
    return keys


def _hint(key: str, config_name: str) -> str:
    """Return a hint about an unknown key, such as the most similar key of the defaults."""
    keys = sorted(name for name in _known_keys(config_name) if not name.startswith("study."))
    if key in keys:
        return "; it is one of another option than those chosen"
    close = difflib.get_close_matches(key, keys, n=1)
    return f"; did you mean {close[0]}?" if close else "; `--cfg job` shows all"


def _default_keys(config_name: str) -> list[str]:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return _keys(OmegaConf.to_container(compose(config_name)))


def _keys(config: object, prefix: str = "") -> list[str]:
    if not isinstance(config, dict):
        return [prefix]
    dot = f"{prefix}." if prefix else ""
    return [key for name, value in config.items() for key in _keys(value, f"{dot}{name}")]
