"""Processes that a launcher starts for the jobs of a sweep."""

import os
import sys

from fer_lightning.full_disk import leave_full_disks_to_the_run


def prepare_worker() -> None:
    """Let a process that a launcher has started understand the configuration, and draw no bars."""
    from fer_lightning.shell import register_resolvers  # which needs this module

    register_resolvers()
    leave_full_disks_to_the_run()
    os.environ["TTY_COMPATIBLE"] = "0"  # tells rich, as several bars would overwrite each other


def share_cores(n_jobs: int) -> None:
    """Let a job that submitit has started take its share of the cores, unless threads are given.

    joblib sees to that itself.

    Args:
        n_jobs: Jobs of the sweep, which all run at once where submitit runs them on one machine.
    """
    executor = os.environ.get("SUBMITIT_EXECUTOR")
    if executor is None or "OMP_NUM_THREADS" in os.environ:
        return
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = max(1, (n_cores or 1) // n_jobs) if executor == "local" else _cores_of_slurm()
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        if "torch" in sys.modules:  # which has looked there already
            sys.modules["torch"].set_num_threads(threads)


def _cores_of_slurm() -> int | None:
    given = os.environ.get("SLURM_CPUS_PER_TASK")
    return int(given) if given else None
