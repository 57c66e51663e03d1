"""A sweep whose jobs are trained together where that is possible and pays."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import torch
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from fer_lightning.errors import (
    InputError,
    require,
    require_integer,
    require_number,
    require_path,
)
from fer_lightning.files import full_disk_is_told
from fer_lightning.fused import (
    Cost,
    Part,
    decided_by,
    fused_cost,
    grouped,
    members,
    parts,
    train_together,
)
from fer_lightning.runs import (
    Stored,
    flat_settings,
    in_place,
    is_finished,
    run_number,
    run_summary,
    sweep_up,
    task_settings,
    whole_checkpoints,
    without_resume,
)
from fer_lightning.sweeps.launching.memory import bytes_of_run, free_bytes, waves
from fer_lightning.sweeps.launching.remembered_costs import RememberedCosts
from fer_lightning.sweeps.launching.small_groups import is_small, side_by_side
from fer_lightning.sweeps.searching.judging import judge_of
from fer_lightning.training import ALL_THREADS, Run

RunJob = Callable[[DictConfig, TaskFunction], JobReturn]


@dataclass(frozen=True)
class Ready:
    """Jobs whose task is to be run now.

    Attributes:
        jobs: Their positions in the sweep.
        finish: By folder, the function that finishes the run of a network that is trained already.
        begun: By position, what `run_job` has returned for those that have begun.
    """

    jobs: Sequence[int]
    finish: Mapping[Path, Callable[[], float]] = field(default_factory=dict)
    begun: Mapping[int, JobReturn] = field(default_factory=dict)


class FusedSweep:
    """Iterates over the jobs of a sweep, and trains each group of them when its turn comes.

    Args:
        jobs: Their configurations, with Hydra's part.
        run_job: Calls a function in the place of a job's task, with its folder and its log.
        memory_gb: See `FusedLauncher`, as for threads.
        threads: CPU threads.
        measure: See `FusedLauncher`, as for costs.

    Raises:
        InputError: A number breaks its rule.
    """

    def __init__(
        self,
        jobs: Sequence[DictConfig],
        run_job: RunJob,
        memory_gb: float | None,
        threads: int | None,
        measure: bool | str = True,
        costs: str | Path | None = None,
    ) -> None:
        if memory_gb is not None:
            require_number("hydra.launcher.memory_gb", memory_gb, 0, open_below=True)
        if threads is not None:
            require_integer("hydra.launcher.threads", threads, 1)
        self.console = Console(stderr=True, soft_wrap=True)
        self.jobs, self.run_job = jobs, run_job
        rule = "be true, false or again"
        require(measure in (True, False, "again"), "hydra.launcher.measure", rule, measure)
        if costs is not None:
            require_path("hydra.launcher.costs", costs, "a file, or null")
        self.memory_gb, self.threads, self.measure = memory_gb, threads, measure
        self.costs = RememberedCosts(None if costs is None else Path(costs).expanduser())
        self._configs: dict[int, DictConfig] = {}  # of the jobs that are left

    def __iter__(self) -> Iterator[Ready]:
        done = [i for i, job in enumerate(self.jobs) if _is_done(job)]
        yield Ready(done)
        left = [i for i in range(len(self.jobs)) if i not in done]
        self._configs = {i: task_settings(self.jobs[i]) for i in left}
        small: list[dict[int, Run]] = []
        for group in grouped([flat_settings(self._configs[i]) for i in left]):
            jobs = [left[position] for position in group.jobs]
            if not group.can_be_fused:
                self._say(jobs, f"by itself, as {group.alone}")
                yield Ready(jobs)
                continue
            for part in parts(jobs, {i: _checkpoints(self.jobs[i]) for i in jobs}):
                runs = self._made(part)
                # those that cannot be made say themselves what is wrong with them
                yield Ready([i for i in part.jobs if i not in runs])
                torch.set_num_threads(self.threads or min(part.threads or ALL_THREADS, ALL_THREADS))
                go_on = bool(part.stored) and part.were_together
                if is_small(list(runs.values()), go_on=go_on):
                    small.append(runs)
                elif go_on:
                    yield self._train([runs])
                elif runs and group.alone and not part.were_together:
                    self._say(list(runs), f"by itself, as {group.alone}")
                    yield Ready(list(runs))
                else:
                    yield from self._part(part, runs)
        torch.set_num_threads(self.threads or ALL_THREADS)
        for groups in side_by_side(small, self._budget):
            yield self._train(groups)

    def _part(self, part: Part, runs: dict[int, Run]) -> Iterator[Ready]:
        if len(runs) < 2:
            yield Ready(list(runs))
            return
        told = "trained together"
        if self.measure and not part.were_together:
            cost, known = self._cost(list(runs.values()))
            if cost.share > 1:
                why = (
                    f"as a step of all at once takes {cost.share:.1f} times as long here ({known})"
                )
                self._say(list(runs), f"one after another, {why}")
                yield Ready(list(runs))
                return
            told += f", as a step of all takes {cost.share:.2f} of the time of one after another"
            n_threads = f"{cost.threads} threads" if cost.threads > 1 else "one thread"
            told += f" ({n_threads}; {known})"
            torch.set_num_threads(cost.threads)
        for wave in self._waves(runs):
            yield self._train([{i: runs[i] for i in wave}], told)

    def _cost(self, runs: list[Run]) -> tuple[Cost, str]:
        """Return what training the runs together costs, and whether it is remembered."""
        choice = {self.threads} if self.threads else {ALL_THREADS, 1}
        alone = runs[0].config.threads or ALL_THREADS
        batch_size = runs[0].datamodule.batch_size
        training = members(runs), batch_size, sorted(choice, reverse=True), alone
        what = decided_by(*training)
        known = None if self.measure == "again" else self.costs.found(what)
        if known:
            return known.cost, f"remembered from {known.day}"
        cost = fused_cost(*training)
        self.costs.keep(what, cost)
        return cost, "measured now"

    def _made(self, part: Part) -> dict[int, Run]:
        """Make the runs of a part's jobs, leaving out jobs whose settings or faces are wrong."""
        runs: dict[int, Run] = {}
        holders: dict[int | None, Run] = {}  # of the faces of each fold
        for i in part.jobs:
            try:
                run = _run_of(self.jobs[i], self._configs[i])
                holder = holders.setdefault(run.datamodule.cv_fold, run)
                run.datamodule.share(holder.datamodule)
            except (InputError, OmegaConfBaseException):
                continue
            if i in part.stored:
                run.stored = in_place(part.stored[i])
            runs[i] = run
        return runs

    def _waves(self, runs: dict[int, Run]) -> Iterator[list[int]]:
        """Divide the runs into waves, each of which fits into memory."""
        first = next(iter(runs.values()))
        n_fitting = max(1, self._budget(first.device) // bytes_of_run(first))
        yield from waves([(i, _order(run)) for i, run in runs.items()], n_fitting)

    def _budget(self, device: torch.device) -> int:
        """Return how many bytes the runs that are trained at once may take."""
        return free_bytes(device) if self.memory_gb is None else int(1e9 * self.memory_gb)

    def _train(self, groups: Sequence[dict[int, Run]], told: str | None = None) -> Ready:
        for group in groups:
            self._say(list(group), told or _how(list(group.values()), len(groups) > 1))
        runs = {i: run for group in groups for i, run in group.items()}
        begun = {}
        for i, run in runs.items():
            begun[i] = self.run_job(self.jobs[i], functools.partial(_begin, run))
            if begun[i].status != JobStatus.COMPLETED:
                raise begun[i].return_value
        started = time.perf_counter()
        try:
            with full_disk_is_told(Path(self.jobs[0].hydra.sweep.dir)):
                _train_or_close([list(group.values()) for group in groups])
        except InputError as error:
            return self._failed(runs, begun, str(error))
        except Exception as error:  # the other groups go on
            self.console.print_exception()
            told = f"the training of its group failed, as told above: {type(error).__name__}"
            return self._failed(runs, begun, told)
        seconds = (time.perf_counter() - started) / len(runs)
        finish = {run.folder: functools.partial(run.finish, seconds) for run in runs.values()}
        return Ready(list(runs), finish, begun)

    def _failed(self, runs: Mapping[int, Run], begun: Mapping[int, JobReturn], told: str) -> Ready:
        """Return the runs as jobs that fail with this message when they are run."""
        failed = functools.partial(_fail, InputError(told))
        finish = dict.fromkeys((run.folder for run in runs.values()), failed)
        return Ready(list(runs), finish, begun)

    def _say(self, jobs: Sequence[int], what: str) -> None:
        numbers = ", ".join(str(_number(self.jobs[i])) for i in sorted(jobs))
        name = "run" if len(jobs) == 1 else f"{len(jobs)} runs"
        self.console.print(f"{name} ({numbers}): {what}", markup=False, highlight=False)


def _how(runs: Sequence[Run], beside_others: bool) -> str:
    """Return, for the user, how runs are trained of which no cost was measured."""
    if runs[0].stored:
        told = "go on together" if len(runs) > 1 else "goes on"
    else:
        told = "trained together" if len(runs) > 1 else "trained"
    return f"{told}, beside others" if beside_others else told


def _order(run: Run) -> tuple[int, int | None]:
    """Return seed and fold, which decide the minibatches of a run within its group."""
    return run.datamodule.seed, run.datamodule.cv_fold


def _train_or_close(groups: Sequence[list[Run]]) -> None:
    """Train groups of runs; if that fails or is interrupted, end them in their loggers."""
    try:
        train_together(*groups)
    except BaseException:  # Ctrl-C, too
        for run in chain.from_iterable(groups):
            run.loggers.close(None)
        raise


def _fail(error: InputError) -> float:
    raise error


def _begin(run: Run, config: DictConfig) -> None:
    """Begin a run, and log only its warnings on the terminal; its log file has all messages."""
    for handler in logging.getLogger().handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.WARNING)
    run.begin()


def _is_done(job: DictConfig) -> bool:
    """Return whether a job that is resumed is done already."""
    return job.resume is not None and is_finished(run_summary(_folder(job)), job.pause.epoch)


def _checkpoints(job: DictConfig) -> list[Stored]:
    """Return the checkpoints that a resumed job can go on from, the newest first."""
    if job.resume is None:
        return []
    sweep_up(_folder(job))
    return whole_checkpoints(_folder(job) / "checkpoints")


def _folder(job: DictConfig) -> Path:
    return (Path(job.hydra.sweep.dir) / job.hydra.sweep.subdir).resolve()


def _run_of(job: DictConfig, config: DictConfig) -> Run:
    folder = _folder(job)
    return Run(config, folder, _overrides(job), judge_of(config, job.hydra, folder))


def _number(job: DictConfig) -> int:
    """Return the number of a job in its sweep, from 1."""
    return run_number(_folder(job)) or 1 + int(job.hydra.job.num)


def _overrides(job: DictConfig) -> list[str]:
    return without_resume(job.hydra.overrides.task)
