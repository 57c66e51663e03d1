"""Hydra launchers that run the jobs of a sweep in this process, by themselves or together."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from fer_lightning.errors import require
from fer_lightning.fused import grouped
from fer_lightning.machine import first_import
from fer_lightning.runs import flat_settings, task_settings
from fer_lightning.sweeps.launching.composing import compose_quickly
from fer_lightning.sweeps.launching.running import run_in_place

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

    def _run(
        self, job: DictConfig, task: TaskFunction, begun: JobReturn | None = None
    ) -> JobReturn:
        """Call a function as Hydra calls the task of a job: with its folder and its log."""
        done = run_in_place(job, task, self.hydra_context, begun)
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
                done[i] = self._run(jobs[i], self.task_function, ready.begun.get(i))
        return [done[i] for i in range(len(jobs))]


def trained(folder: Path) -> Callable[[], float] | None:
    """Return the function that finishes the run in a folder if its network is trained, or None."""
    return TRAINED.pop(folder, None)
