"""A Hydra launcher that submits jobs that can be trained together as one job of a cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from fer_lightning.errors import InputError
from fer_lightning.fused.grouping import grouped
from fer_lightning.fused.launcher import FusedLauncher, task_settings
from fer_lightning.settings import flat_settings


class SubmittedLauncher(FusedLauncher):
    """Submits each group of jobs that differ only in numbers as one, which trains them together.

    Args:
        cluster: `slurm`, or `local` for processes of this machine.
        submitit_folder: Where submitit keeps its files, on a disk that all machines see.
        memory_gb: See `FusedLauncher`.
        threads: See `FusedLauncher`.
        measure: See `FusedLauncher`.
        parameters: Of a submitted job, for `submitit.AutoExecutor.update_parameters`.
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
    """What a submitted job does: what the launcher `fused` would do with these jobs alone."""

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
