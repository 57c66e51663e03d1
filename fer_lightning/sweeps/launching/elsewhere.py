"""Hydra launchers whose jobs run in other processes: what these have in common, and submitit's."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from fer_lightning.errors import InputError
from fer_lightning.sweeps.launching.launchers import FusedLauncher, Numbered, SerialLauncher


@dataclass
class GroupOfJobs:
    """Jobs that another process runs, which this is pickled for.

    Attributes:
        launcher: Runs the jobs there as it would here; it is set up.
        state: Of Hydra's singletons.
        numbered: The jobs.
    """

    launcher: SerialLauncher
    state: dict[Any, Any]
    numbered: list[Numbered]

    def __call__(self) -> list[JobReturn]:
        Singleton.set_state(self.state)
        self.launcher.begin()
        return self.launcher.run_numbered(self.numbered)


class ElsewhereLauncher(SerialLauncher):
    """Divides the jobs into groups, each of which runs in another process.

    Args:
        there: The launcher that says which jobs form a group, and runs them there.
    """

    def __init__(self, there: SerialLauncher) -> None:
        self.there = there

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        given: Any = {"hydra_context": hydra_context, "config": config}
        super().setup(task_function=task_function, **given)
        self.there.setup(task_function=task_function, **given)

    def run_numbered(self, numbered: Sequence[Numbered]) -> list[JobReturn]:
        state, places = Singleton.get_state(), self.there.groups(numbered)
        groups = [GroupOfJobs(self.there, state, [numbered[i] for i in group]) for group in places]
        done: dict[int, JobReturn] = {}
        for group, results in zip(places, self.run_groups(groups), strict=True):
            done |= zip(group, results, strict=True)
        return [done[i] for i in range(len(numbered))]

    @abstractmethod
    def run_groups(self, groups: Sequence[GroupOfJobs]) -> Iterable[list[JobReturn]]:
        """Run each group in another process, and return their results in the given order."""


class SubmittedLauncher(ElsewhereLauncher):
    """Submits each group of jobs that differ only in numbers as one, which trains them together.

    Args:
        cluster: `slurm`, or `local` for processes of this machine.
        submitit_folder: Where submitit keeps its files, on a disk that all machines see.
        memory_gb: See `FusedLauncher`.
        threads: See `FusedLauncher`.
        measure: See `FusedLauncher`.
        costs: See `FusedLauncher`, on a disk that all machines see or not.
        parameters: Parameters of a submitted job, for `submitit.AutoExecutor.update_parameters`.
    """

    def __init__(
        self,
        cluster: str,
        submitit_folder: str,
        memory_gb: float | None = None,
        threads: int | None = None,
        measure: bool | str = True,
        costs: str | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(FusedLauncher(memory_gb, threads, measure, costs))
        self.cluster, self.submitit_folder = cluster, submitit_folder
        self.parameters = plain(parameters)

    def run_groups(self, groups: Sequence[GroupOfJobs]) -> Iterable[list[JobReturn]]:
        try:
            from submitit import AutoExecutor
        except ImportError as error:
            raise missing_extra("slurm") from error

        executor = AutoExecutor(self.submitit_folder, cluster=self.cluster)
        executor.update_parameters(**self.parameters)
        with executor.batch():
            submitted = [executor.submit(group) for group in groups]
        n_runs = sum(len(group.numbered) for group in groups)
        told = f"{n_runs} runs in {len(groups)} jobs of {self.cluster}: "
        told += ", ".join(job.job_id for job in submitted)
        Console(stderr=True, soft_wrap=True).print(told, highlight=False)
        return (job.result() for job in submitted)


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of a launcher without containers of OmegaConf's."""
    return {
        name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        for name, value in settings.items()
    }


def missing_extra(name: str) -> InputError:
    """Return the error of a launcher that needs an extra that is not installed."""
    return InputError(f"hydra/launcher needs another package: pip install -e '.[{name}]'")
