"""Hydra launchers whose jobs are tasks of Ray, on this machine or on a cluster."""

import os
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from types import ModuleType
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from fer_lightning.errors import InputError, Interrupted, SettingError, one_line, require
from fer_lightning.processes import GRACE_SECONDS, handle_signals, take_signals_back
from fer_lightning.sweeps.launching.elsewhere import (
    ElsewhereLauncher,
    GroupOfJobs,
    missing_extra,
    plain,
)
from fer_lightning.sweeps.launching.launchers import FusedLauncher, SerialLauncher

ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_COLOR_PREFIX": "0"}


class RayLauncher(ElsewhereLauncher):
    """Runs every job as a task of Ray.

    Ray starts with the first jobs, and ends with the process.

    Args:
        address: Address of a running cluster; by default one is started on this machine.
        init: Other arguments of `ray.init`; None stands for its default.
        options: Options of a task, by their names in Ray, such as `num_cpus` and `num_gpus`.
    """

    def __init__(
        self,
        address: str | None = None,
        init: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(SerialLauncher())
        self.address, self.init = address, plain(dict(init or {}))
        self.options = plain(options)

    def run_groups(self, groups: Sequence[GroupOfJobs]) -> Iterator[list[JobReturn]]:
        ray = started_ray(self.address, self.init)
        if self.address is None:
            self._require_enough(ray.cluster_resources())
        named = self._named(ray.remote(run_in_worker), groups)
        tasks: list[Any] = []
        answers: list[Future[list[JobReturn]]] = []  # a wait for these ends with any signal
        try:
            for function, group in zip(named, groups, strict=True):
                tasks.append(function.remote(group, os.getcwd()))  # noqa: PTH109
                answers.append(tasks[-1].future())
            for group, answer in zip(groups, answers, strict=True):
                yield _results(ray, group, answer)
        except BaseException:  # Ctrl-C, too
            for force in (False, True):  # those that do not listen are killed
                for task in reversed(tasks):  # those that wait are not to begin
                    ray.cancel(task, force=force)
                if not wait(answers, timeout=2 * GRACE_SECONDS).not_done:
                    break
            raise

    def _named(self, remote: Any, groups: Sequence[GroupOfJobs]) -> list[Any]:
        """Return the remote function of each group, with its name and the options of a task."""
        try:
            return [remote.options(**{"name": _name(group)} | self.options) for group in groups]
        except (TypeError, ValueError) as error:
            raise InputError(f"hydra.launcher must fit a task of Ray: {error}") from error

    def _require_enough(self, resources: Mapping[str, float]) -> None:
        """Raise a `SettingError` if no task could ever begin on this machine."""
        for option, resource in (("num_cpus", "CPU"), ("num_gpus", "GPU")):
            asked, there = self.options.get(option), resources.get(resource, 0)
            if not isinstance(asked, int | float):
                continue  # for Ray to tell
            rule = f"be at most {there:g}, as Ray has no more of them here"
            require(asked <= there, f"hydra.launcher.{option}", rule, asked)


class FusedRayLauncher(RayLauncher):
    """Trains each group of jobs that differ only in numbers together, as one task of Ray.

    Args:
        memory_gb: See `FusedLauncher`.
        threads: See `FusedLauncher`.
        measure: See `FusedLauncher`.
        costs: See `FusedLauncher`, on a disk that all machines see or not.
        settings: See `RayLauncher`.
    """

    def __init__(
        self,
        memory_gb: float | None = None,
        threads: int | None = None,
        measure: bool | str = True,
        costs: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.there = FusedLauncher(memory_gb, threads, measure, costs)


def started_ray(address: str | None, init: Mapping[str, Any]) -> ModuleType:
    """Return Ray, which is connected to a cluster.

    Args:
        address: Address of a running cluster, or None to start one on this machine.
        init: Other arguments of `ray.init`; None stands for its default.

    Raises:
        InputError: Ray is not installed, does not take the arguments or finds no cluster.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address is None and "RAY_AUTH_MODE" not in os.environ:  # or Ray keeps one in the home
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray  # which has looked at the environment by now
    except ImportError as error:
        raise missing_extra("ray") from error
    if ray.is_initialized():
        return ray
    try:
        ray.init(address or "local", **{k: v for k, v in init.items() if v is not None})
    except ConnectionError as error:
        rule = "be null or that of a running cluster"
        raise SettingError("hydra.launcher.address", rule, address) from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"hydra.launcher.init must fit ray.init: {error}") from error
    finally:
        take_signals_back()
    return ray


def run_in_worker(group: GroupOfJobs, folder: str) -> list[JobReturn]:
    """Run jobs in a process that Ray has started, and save their state when Ray cancels them.

    Args:
        group: The jobs.
        folder: In which the command was started.
    """
    import ray

    os.chdir(folder)
    if not ray.get_gpu_ids():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # which Ray leaves as it was
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    handle_signals()
    try:
        return group()
    except Interrupted as error:
        raise KeyboardInterrupt from error  # as Ray expects of a task that is cancelled
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _results(
    ray: ModuleType, group: GroupOfJobs, answer: "Future[list[JobReturn]]"
) -> list[JobReturn]:
    """Return the results of a task's jobs; the jobs of a process that Ray lost have failed."""
    try:
        return answer.result()
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        print(f"failed: {_name(group)}: {one_line(error)}", file=sys.stderr)
        lost = JobStatus.COMPLETED  # as of other jobs that fail, for others to go on
        return [JobReturn(overrides=job[1], status=lost) for job in group.numbered]


def _name(group: GroupOfJobs) -> str:
    first, n_others = 1 + min(number for number, _ in group.numbered), len(group.numbered) - 1
    return f"run {first}" + (f" and {n_others} more" if n_others else "")
