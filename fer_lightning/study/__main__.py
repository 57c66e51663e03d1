"""The whole study, one command after another: `python -m fer_lightning.study --help`."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fer_lightning.errors import InputError, Interrupted, require, require_number
from fer_lightning.files import write_json
from fer_lightning.shell import command
from fer_lightning.study.steps import PARTS, Step, steps

log = logging.getLogger(__name__)


def study(config: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Run the steps that are not done yet, and write the report.

    Args:
        config: The composed configuration of `conf/study.yaml`.
        folder: Where everything goes; `study.json` in there tells what is done.
        overrides: What the user changed, of which the settings of the data concern all steps.

    Raises:
        InputError: A setting breaks its rule, the folder holds a study of other settings, or a step
            failed.
    """
    _check(config)
    data = [override for override in overrides if override.lstrip("+").startswith("data")]
    record = _Record(folder / "study.json", _identity(config, data))
    wanted = steps(folder, config.epochs_fraction, list(config.seeds), data, _parts(config))
    left = [step for step in wanted if step.name not in record.seconds]
    if len(left) < len(wanted):
        log.info("done already: %s", ", ".join(s.name for s in wanted if s not in left))
    failed = []
    for i, step in enumerate(left):
        log.info("\n%s: %s", step.name, step.what)
        log.info(
            "step %d of %d; %s left", i + 1, len(left), _told(record.expected(left[i:], wanted))
        )
        begin = time.perf_counter()
        if _run(step, folder):
            record.add(step, time.perf_counter() - begin)
        else:
            failed.append(step.name)
            log.error("%s failed; the others go on", step.name)
    if not _python("-m", "fer_lightning.report", str(folder)):
        failed.append("report")
    if failed:
        raise InputError(f"failed: {', '.join(failed)}; started again, the study tries them again")


class _Record:
    """The record of the steps that are done, in a file that is complete at any time.

    Args:
        path: The file.
        identity: Settings that must equal those of the steps that are done.

    Attributes:
        seconds: Seconds that each step took, by its name.

    Raises:
        InputError: The file was written with other settings.
    """

    def __init__(self, path: Path, identity: dict[str, object]) -> None:
        self.path, self.identity = path, identity
        self.seconds: dict[str, float] = {}
        if path.exists():
            stored = json.loads(path.read_text())
            if stored["settings"] != identity:
                raise InputError(
                    f"{path.parent} must hold a study of these settings, got {stored['settings']}; "
                    "name another with hydra.run.dir=..."
                )
            self.seconds = stored["seconds"]

    def add(self, step: Step, seconds: float) -> None:
        """Record that a step is done, and how many seconds it took."""
        self.seconds[step.name] = round(seconds, 1)
        write_json(self.path, {"settings": self.identity, "seconds": self.seconds})

    def expected(self, left: list[Step], wanted: list[Step]) -> float:
        """Return an estimate of the seconds that the remaining steps will take.

        It is their usual time, on two cores with the synthetic faces, times the ratio of actual to
        usual time of the steps that are done.
        """
        done = [step for step in wanted if step.name in self.seconds]
        usual = sum(step.seconds for step in done)
        pace = sum(self.seconds[step.name] for step in done) / usual if usual else 1.0
        return pace * sum(step.seconds for step in left)


def _check(config: DictConfig) -> None:
    require_number("epochs_fraction", config.epochs_fraction, 0, open_below=True)
    require(config.epochs_fraction <= 1, "epochs_fraction", "be at most 1", config.epochs_fraction)
    require(isinstance(config.grids, bool), "grids", "be true or false", config.grids)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    seeds = settings["seeds"]
    fits = isinstance(seeds, list) and all(type(s) is int and s >= 0 for s in seeds)
    require(fits and len(seeds) > 0, "seeds", "be a list of integers from 0", seeds)
    _parts(config)


def _parts(config: DictConfig) -> set[str]:
    """Return the parts of the study that the settings ask for."""
    if config.only is None:
        return set(PARTS) if config.grids else set(PARTS) - {"A2+"}
    only = [config.only] if isinstance(config.only, str) else list(config.only)
    for part in only:
        require(part in PARTS, "only", f"be of {', '.join(PARTS)}", part)
    return set(only)


def _identity(config: DictConfig, data: list[str]) -> dict[str, object]:
    return {
        "epochs_fraction": config.epochs_fraction,
        "seeds": list(config.seeds),
        "data": sorted(data),
    }


def _run(step: Step, folder: Path) -> bool:
    """Run the commands of a step one after another; return whether all succeeded.

    A sweep that was cut off goes on; any other step begins anew.
    """
    resumed: tuple[str, ...] = ()
    if step.is_sweep and (folder / step.name / "multirun.yaml").exists():
        resumed = (f"resume={folder / step.name}",)
    else:
        shutil.rmtree(folder / step.name, ignore_errors=True)
    return all(_python(*line, *resumed) for line in step.commands)


def _python(*line: str) -> bool:
    """Run a command of the project, pass signals on to it, and return whether it succeeded."""
    own = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    with subprocess.Popen([sys.executable, *line], env=own) as process:
        try:
            return process.wait() == 0
        except Interrupted:
            process.terminate()
            raise


def _told(seconds: float) -> str:
    if seconds < 90:
        return "about a minute"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.0f} hours"


if __name__ == "__main__":
    # people type only=A2,B3, which Hydra would take for a sweep
    sys.argv[1:] = [re.sub(r"^only=([^[]*,.*)$", r"only=[\1]", word) for word in sys.argv[1:]]
    command("study", study)
