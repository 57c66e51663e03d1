"""Hydra launchers that run the jobs of a sweep in this process, by themselves or together."""

import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import (
    JobReturn,
    JobStatus,
    configure_log,
    env_override,
    run_job,
    setup_globals,
)
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from fer_lightning.errors import require
from fer_lightning.fused import grouped
from fer_lightning.machine import first_import
from fer_lightning.runs import flat_settings, task_settings
from fer_lightning.sweeps.launching.composing import compose_quickly

# The functions that finish the runs of networks that are trained already, by folder.
TRAINED: dict[Path, Callable[[], float]] = {}

Numbered = tuple[int, Sequence[str]]  # a job of a sweep: its number and its overrides


class SerialLauncher(Launcher):
    """Runs one job after another, each in the folder of a run of its own."""

    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        compose_quickly(hydra_context.config_loader)
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        self.begin()
        return self.run_numbered(list(enumerate(map(list, job_overrides), initial_job_idx)))

    def begin(self) -> None:
        """Make the sweep's folder."""
        setup_globals()
        self._log_the_sweep()
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)

    def groups(self, numbered: Sequence[Numbered]) -> list[list[int]]:
        """Return the positions of the jobs that are to run in one process, for each such group."""
        return [[i] for i in range(len(numbered))]

    def run_numbered(self, numbered: Sequence[Numbered]) -> list[JobReturn]:
        """Run the numbered jobs, and return their results in the given order."""
        return [self._run(self._composed(*job), self.task_function) for job in numbered]

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
        self._log_the_sweep()
        return done

    def _go_on(self, job: DictConfig, begun: JobReturn) -> JobReturn:
        """Call the task of a job whose folder Hydra has prepared, as `_run` would.

        Hydra would prepare it once more, and copy the settings of the job four times for that.

        Args:
            job: The job.
            begun: What `_run` has returned for a function that began it.
        """
        hydra, callbacks = HydraConfig.instance(), self.hydra_context.callbacks
        before = hydra.cfg, Path.cwd()
        hydra.set_config(job)
        done = copy.copy(begun)
        try:
            os.chdir(str(begun.working_dir))
            configure_log(job.hydra.job_logging, job.hydra.verbose)
            with env_override(job.hydra.job.env_set):
                callbacks.on_job_start(config=job, task_function=self.task_function)
                try:
                    done.return_value = self.task_function(begun.cfg)
                    done.status = JobStatus.COMPLETED
                except Exception as error:
                    done.return_value, done.status = error, JobStatus.FAILED
            callbacks.on_job_end(config=job, job_return=done)
        finally:
            hydra.cfg = before[0]
            os.chdir(before[1])
            self._log_the_sweep()
        return done

    def _log_the_sweep(self) -> None:
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)


class FusedLauncher(SerialLauncher):
    """Trains the jobs that differ only in numbers as one, and the others one after another.

    Every job leaves the folder of a run of its own.

    Args:
        memory_gb: What the models that are trained at once may take, in 10^9 bytes; half of what is
            free by default. A larger group is trained in several waves.
        threads: CPU threads of a fused training; by default all cores, or one where that is
            measured to be faster.
        measure: Whether to train together only what is measured to be faster so; `again` to measure
            also what is remembered.
        costs: The file where what was measured is remembered for a week, or None.
    """

    def __init__(
        self,
        memory_gb: float | None = None,
        threads: int | None = None,
        measure: bool | str = True,
        costs: str | None = None,
    ) -> None:
        self.memory_gb, self.threads = memory_gb, threads
        self.measure, self.costs = measure, costs

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        trains = config.hydra.job.name == "train"
        rule = "be one for any job, as fused training is for networks"
        require(trains, "hydra/launcher", rule, config.hydra.runtime.choices["hydra/launcher"])
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def groups(self, numbered: Sequence[Numbered]) -> list[list[int]]:
        settings = [flat_settings(task_settings(self._composed(*job))) for job in numbered]
        return [list(group.jobs) for group in grouped(settings)]

    def run_numbered(self, numbered: Sequence[Numbered]) -> list[JobReturn]:
        with first_import("torch"):  # which takes a second
            from fer_lightning.sweeps.launching.fused_sweep import FusedSweep

        jobs = [self._composed(*job) for job in numbered]
        done: dict[int, JobReturn] = {}
        settings = self.memory_gb, self.threads, self.measure, self.costs
        for ready in FusedSweep(jobs, self._run, *settings):
            TRAINED.update(ready.finish)
            for i in ready.jobs:
                begun = ready.begun.get(i)
                task = self.task_function
                done[i] = self._go_on(jobs[i], begun) if begun else self._run(jobs[i], task)
        return [done[i] for i in range(len(jobs))]


def trained(folder: Path) -> Callable[[], float] | None:
    """Return the function that finishes the run in a folder if its network is trained, or None."""
    return TRAINED.pop(folder, None)
