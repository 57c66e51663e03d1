"""Hydra launchers that train the jobs of a sweep together, here or on a cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from fer_lightning.errors import InputError, require
from fer_lightning.fused import grouped
from fer_lightning.runs import flat_settings, task_settings

# The functions that finish the runs of networks that are trained already, by folder.
TRAINED: dict[Path, Callable[[], float]] = {}

Numbered = tuple[int, Sequence[str]]  # a job of a sweep: its number and its overrides


class FusedLauncher(Launcher):
    """Trains the jobs that differ only in numbers as one, and the others one after another.

    Every job leaves the folder of a run of its own.

    Args:
        memory_gb: What the models that are trained at once may take, in 10^9 bytes; half of what is
            free by default. A larger group is trained in several waves.
        threads: CPU threads of a fused training; by default all cores, or one where that is
            measured to be faster.
        measure: Whether to train together only what is measured to be faster so.
    """

    def __init__(
        self, memory_gb: float | None = None, threads: int | None = None, measure: bool = True
    ) -> None:
        self.memory_gb, self.threads, self.measure = memory_gb, threads, measure

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        trains = config.hydra.job.name == "train"
        rule = "be one for any job, as fused training is for networks"
        require(trains, "hydra/launcher", rule, config.hydra.runtime.choices["hydra/launcher"])
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        return self.launch_numbered(list(enumerate(job_overrides, initial_job_idx)))

    def begin(self, numbered: Sequence[Numbered]) -> list[DictConfig]:
        """Make the sweep's folder, and return the configurations of its jobs."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        return [self._composed(number, overrides) for number, overrides in numbered]

    def launch_numbered(self, numbered: Sequence[Numbered]) -> list[JobReturn]:
        """Run the numbered jobs, and return their results in the given order."""
        from fer_lightning.sweeps.fused_sweep import FusedSweep  # PyTorch takes a second to import

        jobs = self.begin(numbered)
        done: dict[int, JobReturn] = {}
        for ready in FusedSweep(jobs, self._run, self.memory_gb, self.threads, self.measure):
            TRAINED.update(ready.finish)
            for i in ready.jobs:
                done[i] = self._run(jobs[i], self.task_function)
        return [done[i] for i in range(len(jobs))]

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


def trained(folder: Path) -> Callable[[], float] | None:
    """Return the function that finishes the run in a folder if its network is trained, or None."""
    return TRAINED.pop(folder, None)


class SubmittedLauncher(FusedLauncher):
    """Submits each group of jobs that differ only in numbers as one, which trains them together.

    Args:
        cluster: `slurm`, or `local` for processes of this machine.
        submitit_folder: Where submitit keeps its files, on a disk that all machines see.
        memory_gb: See `FusedLauncher`.
        threads: See `FusedLauncher`.
        measure: See `FusedLauncher`.
        parameters: Parameters of a submitted job, for `submitit.AutoExecutor.update_parameters`.
    """

    def __init__(
        self,
        cluster: str,
        submitit_folder: str,
        memory_gb: float | None = None,
        threads: int | None = None,
        measure: bool = True,
        **parameters: Any,
    ) -> None:
        super().__init__(memory_gb, threads, measure)
        self.cluster, self.submitit_folder = cluster, submitit_folder
        self.parameters = {
            name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for name, value in parameters.items()
        }

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        try:
            from submitit import AutoExecutor
        except ImportError as error:
            told = "hydra/launcher needs another package: pip install -e '.[slurm]'"
            raise InputError(told) from error

        numbered = list(enumerate(map(list, job_overrides), initial_job_idx))
        configs = self.begin(numbered)
        groups = grouped([flat_settings(task_settings(config)) for config in configs])
        executor = AutoExecutor(self.submitit_folder, cluster=self.cluster)
        executor.update_parameters(**self.parameters)
        with executor.batch():
            submitted = [
                executor.submit(self._of_group([numbered[i] for i in group.jobs]))
                for group in groups
            ]
        told = f"{len(numbered)} runs in {len(groups)} jobs of {self.cluster}: "
        told += ", ".join(job.job_id for job in submitted)
        Console(stderr=True, soft_wrap=True).print(told, highlight=False)
        done: dict[int, JobReturn] = {}
        for group, job in zip(groups, submitted, strict=True):
            done |= zip(group.jobs, job.result(), strict=True)
        return [done[i] for i in range(len(numbered))]

    def _of_group(self, numbered: list[tuple[int, list[str]]]) -> "_GroupOfJobs":
        assert self.task_function is not None
        return _GroupOfJobs(
            *(self.hydra_context, self.task_function, self.config, Singleton.get_state()),
            *(numbered, self.memory_gb, self.threads, self.measure),
        )


@dataclass
class _GroupOfJobs:
    """A submitted job, which trains its jobs as the launcher `fused` would."""

    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig
    state: dict[Any, Any]
    numbered: list[tuple[int, list[str]]]
    memory_gb: float | None
    threads: int | None
    measure: bool

    def __call__(self) -> Sequence[JobReturn]:
        Singleton.set_state(self.state)
        setup_globals()
        launcher = FusedLauncher(self.memory_gb, self.threads, self.measure)
        launcher.setup(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=self.config,
        )
        return launcher.launch_numbered(self.numbered)
