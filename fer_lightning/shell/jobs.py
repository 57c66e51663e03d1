"""The jobs of a sweep: in this process one after the other, or in those of a launcher."""

import logging
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fer_lightning.errors import InputError, one_line
from fer_lightning.files import full_disk_is_told, leave_full_disks_to_the_run
from fer_lightning.machine import n_cores
from fer_lightning.runs import override_values, run_number, sweep_overrides, swept_runs

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

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        prepare_worker()

    def count_elsewhere(self, folder: Path) -> None:
        """Count jobs that ran in other processes as failed if they left no summary."""
        if self.folder is None:
            self.folder = folder
            self.n_failed = sum(run.summary is None for run in swept_runs(folder))

    def run(self, job: Callable[[], object], hydra: HydraConf) -> object:
        """Run a job, and return its result, or None if it fails.

        Args:
            job: The job.
            hydra: Hydra's settings of the job.
        """
        if self.folder is None:
            self.folder = Path(hydra.sweep.dir)
            self._count(self.folder, hydra)
        values = override_values(hydra.overrides.task)
        told = " ".join(f"{key}={values[key]}" for key in self._keys)
        number = run_number(Path(hydra.runtime.output_dir)) or hydra.job.num + 1
        log.info("run %d of %d: %s", number, self._n_jobs, told)
        try:
            _require_no_sweep_within(hydra)
            with full_disk_is_told(self.folder):
                return job()
        except Exception as error:
            mistake = isinstance(error, InputError) and not self.full_error
            message = one_line(error) if mistake else type(error).__name__
            folder = hydra.runtime.output_dir
            log.error("failed: %s; %s", message, folder, exc_info=not mistake)
            self.n_failed += 1
            return None

    def _count(self, folder: Path, hydra: HydraConf) -> None:
        overrides = sweep_overrides(folder, GlobalHydra.instance().config_loader())
        self._keys = [key for key, given in overrides.items() if given.is_sweep_override()]
        n_trials = hydra.sweeper.get("n_trials")  # of a sweeper that chooses
        self._n_jobs = n_trials or math.prod(map(_n_values, overrides.values()))
        share_cores(hydra.sweeper.get("n_jobs") or self._n_jobs)


def _n_values(override: Override) -> int:
    return len(list(override.sweep_string_iterator())) if override.is_sweep_override() else 1


def _require_no_sweep_within(hydra: HydraConf) -> None:
    """Raise an `InputError` if the job's experiment is a sweep that Hydra would ignore."""
    lost = (hydra.sweeper.get("params") or {}).keys() - override_values(hydra.overrides.task)
    if lost:
        keys = ", ".join(sorted(lost))
        raise InputError(f"experiment must be given alone where it sweeps {keys}")


def prepare_worker() -> None:
    """Prepare a process started by a launcher: register the resolvers, draw no progress bars."""
    from fer_lightning.shell.configuration import register_resolvers  # which needs this module

    register_resolvers()
    leave_full_disks_to_the_run()
    os.environ["TTY_COMPATIBLE"] = "0"  # tells rich, as several bars would overwrite each other


def share_cores(n_jobs: int) -> None:
    """Limit a job started by submitit to its share of the cores, unless threads are given.

    joblib does that itself.

    Args:
        n_jobs: Jobs of the sweep, which all run at once where submitit runs them on one machine.
    """
    executor = os.environ.get("SUBMITIT_EXECUTOR")
    if executor is None or "OMP_NUM_THREADS" in os.environ:
        return
    threads = max(1, n_cores() // n_jobs) if executor == "local" else _cores_of_slurm()
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        if "torch" in sys.modules:  # which has looked there already
            sys.modules["torch"].set_num_threads(threads)


def _cores_of_slurm() -> int | None:
    given = os.environ.get("SLURM_CPUS_PER_TASK")
    return int(given) if given else None


class SweepFolder(Callback):
    """Remembers the folder of a sweep when Hydra begins it; `path` is None before that."""

    path: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        SweepFolder.path = Path(config.hydra.sweep.dir)


def begun_sweep() -> Path | None:
    """Return the folder of the sweep, or None if no job of a sweep has begun."""
    folder = SweepFolder.path
    return folder if folder and any(folder.glob("*/.hydra")) else None
