"""A Hydra launcher that trains the jobs of a sweep together where they can be."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from fer_lightning.errors import Interrupted

if TYPE_CHECKING:
    from fer_lightning.fused.sweep import FusedSweep

# What is left to do for a job whose network has been trained, by the folder of the job.
TRAINED: dict[Path, Callable[[], float]] = {}


class FusedLauncher(Launcher):
    """Trains the jobs that differ only in numbers as one, and the others one after another.

    Every job leaves the folder of a run of its own.

    Args:
        memory_gb: What the models that are trained at once may take, in 10^9 bytes; half of what is
            free by default. A larger group is trained in several waves.
        threads: CPU threads of a fused training; all cores by default.
        measure: Whether to train together only what is measured to be faster so.
    """

    def __init__(
        self, memory_gb: float | None = None, threads: int | None = None, measure: bool = True
    ) -> None:
        self.memory_gb, self.threads, self.measure = memory_gb, threads, measure

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        jobs = [
            self._composed(number, overrides)
            for number, overrides in enumerate(job_overrides, initial_job_idx)
        ]
        done: dict[int, JobReturn] = {}
        try:
            for trained in self._sweep(jobs):
                TRAINED.update(trained.finish)
                for i in trained.jobs:
                    done[i] = self._run(jobs[i], self.task_function)
        except Interrupted as stopped:
            stopped.sweep = Path(self.config.hydra.sweep.dir)
            raise
        return [done[i] for i in range(len(jobs))]

    def _sweep(self, jobs: Sequence[DictConfig]) -> "FusedSweep":
        from fer_lightning.fused.sweep import FusedSweep  # Lightning takes seconds to import

        return FusedSweep(jobs, self._run, self.memory_gb, self.threads, self.measure)

    def _composed(self, number: int, overrides: Sequence[str]) -> DictConfig:
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        return config

    def _run(self, job: DictConfig, task: TaskFunction) -> JobReturn:
        """Call a function as Hydra calls the task of a job: with its folder and its log."""
        done = run_job(
            hydra_context=self.hydra_context,
            task_function=task,
            config=job,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return done


def register() -> None:
    """Make `hydra/launcher=fused` known to Hydra, which looks for them in `hydra_plugins` alone."""
    plugins = Plugins.instance()  # reads what is installed there, if anything is
    here = sys.modules[__name__]
    FusedLauncher.__module__ = "hydra_plugins.fused"
    sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    sys.modules[FusedLauncher.__module__] = here
    plugins.register(FusedLauncher)
