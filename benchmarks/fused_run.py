"""Runs of the project that are trained together in this process, as the fused launcher does."""

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.project_run import as_in_a_long_training, composed
from fer_lightning.fused.cost import fused_cost
from fer_lightning.fused.membership import members
from fer_lightning.fused.together import train_together
from fer_lightning.training.run import ALL_THREADS, Run


def epoch_seconds(jobs: Sequence[Sequence[str]]) -> list[float]:
    """Train all jobs together; return the seconds of each epoch, with logs and checkpoints.

    Args:
        jobs: The overrides of each; the first must not diverge, as its epochs are counted.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = made(jobs, Path(folder))
        for run in runs:
            run.begin()
        torch.set_num_threads(ALL_THREADS)
        with as_in_a_long_training():
            train_together(runs)
        for run in runs:
            run.loggers.flush()
        with runs[0].epoch_log.path.open() as file:
            return [len(runs) * float(row["seconds"]) for row in csv.DictReader(file)]


def cost_of_fusing(jobs: Sequence[Sequence[str]]) -> float:
    """Return the launcher's cost of fusing: the time of a fused step over that of separate ones."""
    with tempfile.TemporaryDirectory() as folder:
        runs = made(jobs, Path(folder))
        alone = runs[0].config.threads or ALL_THREADS
        batch_size = runs[0].datamodule.batch_size
        return fused_cost(members(runs), batch_size, [ALL_THREADS], alone).share


def run_of(job: Sequence[str]) -> Run:
    """Return the run of a job without training it."""
    with tempfile.TemporaryDirectory() as folder:
        return made([job], Path(folder))[0]


def made(jobs: Sequence[Sequence[str]], folder: Path) -> list[Run]:
    """Return the runs of the jobs; runs of the same fold share its faces in memory."""
    holders: dict[int | None, Run] = {}
    runs = []
    for i, job in enumerate(jobs):
        own = folder / str(i)
        own.mkdir()
        run = Run(composed(list(job)), own, list(job))
        run.datamodule.share(holders.setdefault(run.datamodule.cv_fold, run).datamodule)
        runs.append(run)
    return runs
