"""The folder of a sweep: which keys vary, what its runs left, and `summary.csv`."""

import csv
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lightning.errors import InputError
from fer_lightning.files import read_yaml, value_at, whole_file
from fer_lightning.runs.overrides import PAUSE, RESUME, override_values

if TYPE_CHECKING:  # Hydra takes a while to import
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override


@dataclass(frozen=True)
class SweptRun:
    """A run of a sweep, as its folder tells of it.

    Attributes:
        folder: Where it wrote.
        swept: Its values of the swept keys, as one types them.
        summary: The content of its summary.json, or None if it did not come to its end.
    """

    folder: Path
    swept: dict[str, str]
    summary: dict[str, Any] | None

    @property
    def number(self) -> int:
        """Return the number of the run in the sweep, from 1."""
        return run_number(self.folder)


def sweep_overrides(folder: Path, loader: "ConfigLoader | None" = None) -> "dict[str, Override]":
    """Return the overrides of a sweep by key: first its experiment's, then the command line's.

    Args:
        folder: Folder of the sweep, with the multirun.yaml that Hydra left there.
        loader: Hydra's configuration loader, which finds the values of `model=glob(*)`.

    Raises:
        InputError: There is no multirun.yaml, or it is damaged.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    sweeper, task = _hydra_settings(folder)
    given = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    parser = OverridesParser.create(loader)
    parsed = parser.parse_overrides([*given, *task])
    return {override.get_key_element().lstrip("+~"): override for override in parsed}


def sweeper_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of the sweeper that made a sweep: of a search, with its `objectives`.

    Raises:
        InputError: There is no multirun.yaml, or it is damaged.
    """
    return _hydra_settings(folder)[0]


def _hydra_settings(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the settings of the sweeper, and the overrides of the command line."""
    path = folder / "multirun.yaml"
    hydra = value_at(read_yaml(path), "hydra")
    sweeper, task = value_at(hydra, "sweeper"), value_at(hydra, "overrides", "task")
    if not isinstance(sweeper, dict) or not isinstance(task, list):
        raise InputError(f"{path}: not the settings of a sweep")
    return sweeper, [str(override) for override in task]


def swept_keys(folder: Path) -> list[str]:
    """Return the keys that vary in a sweep."""
    overrides = sweep_overrides(folder)
    return [key for key, given in overrides.items() if given.is_sweep_override()]


def swept_runs(folder: Path) -> list[SweptRun]:
    """Return the runs of a sweep that have begun, in the order of their numbers."""
    from omegaconf import OmegaConf

    keys = swept_keys(folder)
    runs = []
    for path in folder.glob("*/.hydra/overrides.yaml"):
        values = override_values(map(str, OmegaConf.load(path)))
        summary = path.parent.parent / "summary.json"
        facts = json.loads(summary.read_text()) if summary.exists() else None
        runs.append(SweptRun(summary.parent, {key: values.get(key, "") for key in keys}, facts))
    return sorted(runs, key=lambda run: (run.number, run.folder.name))


def run_name(job: int, overrides: Iterable[str], varying: Collection[str] | None) -> str:
    """Return a name from a job's number and overrides, safe for shells and Hydra's grammar.

    Args:
        job: From 0.
        overrides: Those of the job.
        varying: The keys that vary in its sweep, or None: all are named.
    """
    told = [
        override
        for override in overrides
        if (varying is None or override.split("=")[0].lstrip("+~") in varying)
        and not override.startswith(("data.path=", "data.cache_dir=", RESUME, PAUSE))
    ]
    safe = (re.sub(r"[^\w.+-]+", "-", override, flags=re.ASCII).strip("-") for override in told)
    return "_".join([str(job + 1), *safe])[:150]


def run_number(folder: Path) -> int:
    """Return the number of a run in its sweep, from 1, or 0 if the name of its folder has none."""
    found = re.match(r"\d+", folder.name)
    return int(found[0]) if found else 0


def quoted(word: str) -> str:
    """Return a word quoted for Hydra's grammar, whatever characters it has."""
    from hydra.core.override_parser.types import Quote, QuotedString

    # Hydra would take ${ in a name for an interpolation.
    return QuotedString(word.replace("${", r"\${"), Quote.single).with_quotes()


def write_runs(
    path: Path, keys: Sequence[str], figures: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write `summary.csv`: for each run its swept keys, status and results, empty where missing."""
    with whole_file(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["run", *keys, "status", *figures])
        writer.writeheader()
        writer.writerows(rows)
