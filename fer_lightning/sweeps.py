"""Sweeps: which keys vary, how each job goes, and what the folder holds afterwards."""

import json
import logging
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from fer_lightning.errors import InputError, one_line

log = logging.getLogger(__name__)


class Jobs:
    """Runs the jobs of a sweep: says which one begins and which one fails, and goes on.

    Args:
        full_error: Whether a mistake of the user shows its traceback, too.

    Attributes:
        folder: Folder of the sweep, or None before its first job.
        n_failed: Jobs that ended with an error so far.
    """

    def __init__(self, full_error: bool) -> None:
        self.full_error = full_error
        self.folder: Path | None = None
        self.n_failed = 0
        self._keys: list[str] = []
        self._n_jobs = 0

    def run(self, job: Callable[[], object], hydra: HydraConf) -> object:
        """What the job returns, or None if it fails; `hydra` are Hydra's settings of the job."""
        if self.folder is None:
            self._begin(Path(hydra.sweep.dir))
        values = override_values(hydra.overrides.task)
        told = " ".join(f"{key}={values[key]}" for key in self._keys)
        log.info("run %d of %d: %s", hydra.job.num + 1, self._n_jobs, told)
        try:
            _require_no_sweep_within(hydra)
            return job()
        except Exception as error:
            mistake = isinstance(error, InputError) and not self.full_error
            message = one_line(error) if mistake else type(error).__name__
            folder = hydra.runtime.output_dir
            log.error("failed: %s; %s", message, folder, exc_info=not mistake)
            self.n_failed += 1
            return None

    def _begin(self, folder: Path) -> None:
        self.folder = folder
        overrides = _sweep_overrides(folder, with_groups=True)
        self._keys = [key for key, given in overrides.items() if given.is_sweep_override()]
        self._n_jobs = math.prod(map(_n_values, overrides.values()))


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
        """Its place in the sweep, from 1."""
        found = re.match(r"\d+", self.folder.name)
        return int(found[0]) if found else 0


def swept_keys(folder: Path) -> list[str]:
    """The keys that vary in a sweep, from the multirun.yaml that Hydra left in its folder."""
    overrides = _sweep_overrides(folder)
    return [key for key, given in overrides.items() if given.is_sweep_override()]


def swept_runs(folder: Path) -> list[SweptRun]:
    """The runs of a sweep that have begun, in their order."""
    keys = swept_keys(folder)
    runs = []
    for path in folder.glob("*/.hydra/overrides.yaml"):
        values = override_values(OmegaConf.load(path))
        summary = path.parent.parent / "summary.json"
        facts = json.loads(summary.read_text()) if summary.exists() else None
        runs.append(SweptRun(summary.parent, {key: values.get(key, "") for key in keys}, facts))
    return sorted(runs, key=lambda run: (run.number, run.folder.name))


def override_values(overrides: Iterable[str]) -> dict[str, str]:
    """Values by key of overrides such as `optim.lr=0.1` or `+trainer.precision=16-mixed`."""
    parts = (override.partition("=") for override in overrides)
    return {key.lstrip("+"): value for key, _, value in parts}


def _sweep_overrides(folder: Path, with_groups: bool = False) -> dict[str, Override]:
    """The overrides of a sweep by key: those of its experiment, then those of the command line.

    Args:
        folder: Folder of the sweep.
        with_groups: Whether Hydra runs, and can say which options `model=glob(*)` has.
    """
    hydra = OmegaConf.load(folder / "multirun.yaml").hydra
    given = [f"{key}={value}" for key, value in (hydra.sweeper.get("params") or {}).items()]
    loader = GlobalHydra.instance().config_loader() if with_groups else None
    parsed = OverridesParser.create(loader).parse_overrides([*given, *hydra.overrides.task])
    return {override.get_key_element().lstrip("+~"): override for override in parsed}


def _n_values(override: Override) -> int:
    return len(list(override.sweep_string_iterator())) if override.is_sweep_override() else 1


def _require_no_sweep_within(hydra: HydraConf) -> None:
    """Raise an `InputError` if the job's experiment is a sweep that Hydra would pass over."""
    lost = (hydra.sweeper.get("params") or {}).keys() - override_values(hydra.overrides.task)
    if lost:
        raise InputError(
            f"experiment must be given alone where it sweeps {', '.join(sorted(lost))}"
        )
