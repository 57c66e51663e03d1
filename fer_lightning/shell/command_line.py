"""Words of a command line as the overrides that Hydra knows: runs to evaluate, `resume=FOLDER`."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fer_lightning.errors import InputError
from fer_lightning.runs import RESUME, quoted, without_resume

# A whole value, or one of a list or of several to sweep over.
_POWER_OF_TEN = re.compile(r"(?:^|(?<=[,\[ ]))([+-]?\d+)[eE]\+?(\d)(?=[,\] ]|$)")
FLAGS_WITH_A_VALUE = (
    *("--cfg", "-c", "--package", "-p", "--info", "-i"),
    *("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"),
)


def as_overrides(words: Sequence[str], flags: Mapping[str, str]) -> list[str]:
    """Return the command line with flags that stand for settings as their overrides.

    Args:
        words: All words; `--flag value` and `--flag=value` mean the same.
        flags: From each flag, or other name of a setting, to the setting.

    Raises:
        InputError: A flag has no value.
    """
    told: list[str] = []
    left = iter(words)
    for word in left:
        flag, is_given, value = word.partition("=")
        if flag not in flags or not (is_given or flag.startswith("-")):
            told.append(word)
            continue
        value = value if is_given else next(left, "")
        if not value or value.startswith("-"):
            raise InputError(f"{flag} must have a value")
        plain = re.fullmatch(r"[\w.+/'\"-]+", value)
        told.append(f"{flags[flag]}={value if plain else quoted(value)}")
    return told


def flags_first(words: Sequence[str]) -> list[str]:
    """Return the words with all flags first, as Hydra accepts none after an override."""
    flags = [i for i in range(len(words)) if _is_flag(words, i)]
    others = [word for i, word in enumerate(words) if i not in flags]
    return [*(words[i] for i in flags), *others]


def gather_words(words: Sequence[str], name: str) -> list[str]:
    """Return the command line with its plain words gathered into one override, a list.

    Args:
        words: All words. Plain are those that are neither flags nor overrides; one with = in it is
            plain if there is a file or folder of that name.
        name: The setting that lists the plain words.
    """
    others: list[str] = []
    plain: list[str] = []
    for i, word in enumerate(words):
        is_override = re.match(r"[+~]{0,2}[\w./@:-]+=", word) and not Path(word).exists()
        (others if _is_flag(words, i) or is_override else plain).append(word)
    return [*others, f"{name}=[{','.join(map(quoted, plain))}]"] if plain else others


def with_integers(words: Sequence[str]) -> list[str]:
    """Return the command line with 1000 in place of 1e3, which Hydra takes for a float.

    Left as they are: flags, Hydra's own settings, and names of files and folders that look like
    such a number.
    """
    return [word if word.startswith(("-", "hydra.")) else _with_integers(word) for word in words]


def _with_integers(override: str) -> str:
    key, is_override, value = override.partition("=")
    if not is_override or Path(value).exists():
        return override
    return key + "=" + _POWER_OF_TEN.sub(lambda m: str(int(m[1]) * 10 ** int(m[2])), value)


def with_patterns(words: Sequence[str]) -> list[str]:
    """Return the command line with regular expressions quoted, as Hydra's grammar knows no (a|b).

    Those that are quoted already, as several of a sweep must be, are left as they are.
    """
    pattern = re.compile(r"([+]{0,2}data\.\w+_pattern=)(?!['\"]|null$)(.+)", re.DOTALL)
    found = [pattern.fullmatch(word) for word in words]
    return [m[1] + quoted(m[2]) if m else word for m, word in zip(found, words, strict=True)]


def require_names_once(words: Sequence[str]) -> None:
    """Raise an `InputError` where a map of classes has a name twice, as Hydra keeps the last."""
    for word in words:
        key, _, value = word.partition("=")
        if key.lstrip("+") not in ("data.classes", "data.codes") or not value.startswith("{"):
            continue
        try:
            found = OverridesParser.create().parse_override(word).value()
        except HydraException:  # which Hydra tells
            continue
        if isinstance(found, dict) and len(found) < _n_pairs(value):
            raise InputError(f"{key.lstrip('+')} must have each name once, got {value!r}")


def _n_pairs(text: str) -> int:
    """Return how many pairs a map in Hydra's grammar is written with."""
    plain = re.sub(r"\\.|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", "", text, flags=re.DOTALL)
    return plain.count(":")


# What stands in the place of a group of settings where a class of one's own is named.
OWN_CLASSES: dict[str, dict[str, str]] = {
    "model": {"threads": "null", "study.lr": "0.01", "study.max_epochs": "30"},
    "optim": {"optim.lr": "${study.lr}"},
    "schedule": {},
}


def with_own_classes(words: Sequence[str]) -> list[str]:
    """Return the command line so that a class of one's own has the settings that are given, alone.

    `optim._target_=torch.optim.NAdam` would else come with the settings of the default optimiser. A
    group that is chosen as well, itself or by an experiment (`optim=adamw optim._target_=...`),
    keeps its own.
    """
    told = list(words)
    for group, others in OWN_CLASSES.items():
        keys = [re.match(r"\+{0,2}([\w./]+)=", word) for word in told]
        given = [key[1] if key else "" for key in keys]
        if f"{group}._target_" not in given or {group, "experiment"} & set(given):
            continue
        told = [
            f"++{word.lstrip('+')}" if key.startswith(f"{group}.") or key in others else word
            for key, word in zip(given, told, strict=True)
        ]
        told += [f"++{key}={value}" for key, value in others.items() if key not in given]
        told.append(f"~{group}")
    return told


def of_a_trial(words: Sequence[str]) -> list[str]:
    """Return the command line of a run that writes nothing, if it is one, so that Hydra does not.

    Raises:
        InputError: It is a sweep.
    """
    trial = re.compile(r"trainer=debug|\+{0,2}trainer\.fast_dev_run=(?!false|False|0$|null)")
    if not any(trial.match(word) for word in words):
        return list(words)
    if any(word in SWEEP_FLAGS for word in words):
        raise InputError("trainer.fast_dev_run must be of one run, got -m")
    nowhere = ("hydra.output_subdir=null", "hydra/job_logging=terminal")
    place = "hydra.run.dir=${project_root:}/multirun"
    given = any(word.startswith("hydra.run.dir=") for word in words)
    return [*words, *nowhere, *([] if given else [place])]


def _is_flag(words: Sequence[str], i: int) -> bool:
    """Return whether a word is a flag, or the value of the flag before it."""
    return words[i].startswith("-") or (i > 0 and words[i - 1] in FLAGS_WITH_A_VALUE)


SWEEP_FLAGS = ("-m", "--multirun")


def resumed(words: Sequence[str]) -> list[str]:
    """Return the command line with overrides to write into the folder that it resumes.

    Args:
        words: All words; without `resume=FOLDER` they are returned as they are.

    Raises:
        InputError: There is no run or sweep in the folder, or the words do not go with it.
    """
    named = [word for word in words if word.startswith(RESUME)]
    if not named or named[-1] == f"{RESUME}null":
        return list(words)
    name = named[-1].removeprefix(RESUME).strip("'\"")
    folder = Path(name).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(f"resume must be the folder of a run or a sweep, got {name!r}")
    others = [word for word in words if not word.startswith(RESUME)]
    where = quoted(str(folder))
    given = _overrides(others)
    if (folder / "multirun.yaml").exists() or any(word in SWEEP_FLAGS for word in others):
        _require_same_sweep(folder, given)
        return _replaced(words, f"{RESUME}{where}", f"hydra.sweep.dir={where}")
    if given:
        raise InputError(f"resume must be given alone: a run keeps its settings, got {given[0]!r}")
    told = (f"hydra.run.dir={where}", "hydra.output_subdir=null")
    return _replaced(words, f"{RESUME}{where}", *told)


def resuming_command(folder: Path, words: Sequence[str] = ()) -> str:
    """Return the command line that resumes the run or sweep of this process.

    Args:
        folder: Folder of the run or sweep.
        words: Words of the command line that began the sweep.
    """
    spec, script = sys.modules["__main__"].__spec__, Path(sys.argv[0])
    n = os.environ.get("LOCAL_WORLD_SIZE", "1")
    start = ["python"] if n == "1" else ["torchrun", "--nproc-per-node", n]
    if spec:
        start += ["-m", spec.name.removesuffix(".__main__")]
    elif n == "1" and shutil.which(script.name):  # a console script, such as fer-train
        start = [script.name]
    else:
        start += [str(script)]
    swept = without_resume(words)
    # overrides stand side by side, or Hydra does not know them
    end = max((i + 1 for i, word in enumerate(swept) if "=" in word), default=len(swept))
    return shlex.join([*start, *swept[:end], f"{RESUME}{folder}", *swept[end:]])


def _replaced(words: Sequence[str], *told: str) -> list[str]:
    """Return the words with other overrides in the place of `resume=FOLDER`."""
    place = max(i for i, word in enumerate(words) if word.startswith(RESUME))
    dropped = (RESUME, "hydra.sweep.dir=", "hydra.run.dir=")
    before, after = (
        [word for word in part if not word.startswith(dropped)]
        for part in (words[:place], words[place + 1 :])
    )
    return [*before, *told, *after]


def _overrides(words: Sequence[str]) -> list[str]:
    """Return the overrides among the words, except those of Hydra's own settings."""
    return [
        word
        for i, word in enumerate(words)
        if not word.startswith(("-", "hydra.", "hydra/"))
        and (i == 0 or words[i - 1] not in FLAGS_WITH_A_VALUE)
    ]


def _require_same_sweep(folder: Path, given: list[str]) -> None:
    stored = _swept(folder)
    if stored is not None and stored != given:
        raise InputError(
            f"resume must go with the overrides of that sweep, {' '.join(stored)}, "
            f"got {' '.join(given) or 'none'}"
        )


def _swept(folder: Path) -> list[str] | None:
    """Return the overrides of a sweep, or None if Hydra was stopped while it wrote them."""
    try:
        stored: Any = OmegaConf.select(
            OmegaConf.load(folder / "multirun.yaml"), "hydra.overrides.task"
        )
        return without_resume(OmegaConf.to_container(stored))  # type: ignore[arg-type]
    except (OSError, ValueError, YAMLError, OmegaConfBaseException):
        return None
