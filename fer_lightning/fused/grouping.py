"""Which jobs of a sweep can be trained together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# In these, models that are trained together may differ.
OWN = {"optim.lr", "optim.momentum", "optim.weight_decay", "optim.nesterov", "optim.betas"}
OWN |= {"optim.eps", "seed", "data.cv_fold"}
# These concern a run that is trained alone, or how it is shown, and not what it computes.
UNUSED = {"threads", "data.minibatches_per_step", "engine", "compile", "checkpoint_every_seconds"}
# What of Lightning's Trainer the fused training knows.
TRAINER = {"max_epochs", "accelerator", "devices", "precision", "num_sanity_val_steps"}
TRAINER |= {"log_every_n_steps", "enable_progress_bar", "enable_model_summary"}
PRECISIONS = (None, 32, 64, "32", "64", "32-true", "64-true")


@dataclass(frozen=True)
class Group:
    """Jobs that are trained together.

    Attributes:
        jobs: Their positions in the sweep, those side by side that share their minibatches.
        alone: Why the only job of the group is not trained with others, or None.
    """

    jobs: tuple[int, ...]
    alone: str | None = None


def grouped(settings: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Part the jobs of a sweep into groups, in the order of their first jobs.

    Args:
        settings: Of each job, as `flat_settings` tells them.
    """
    shapes: dict[str, list[int]] = {}
    groups = []
    for job, its in enumerate(settings):
        reason = obstacle(its)
        if reason:
            groups.append(Group((job,), reason))
        else:
            shapes.setdefault(_shape(its), []).append(job)
    for jobs in shapes.values():
        if len(jobs) == 1:
            groups.append(Group((jobs[0],), "no other job has its shape and its faces"))
            continue
        jobs.sort(key=lambda job: (_order(settings[job]), job))
        groups += [Group(tuple(part)) for part in _rectangles(jobs, settings)]
    return sorted(groups, key=lambda group: min(group.jobs))


def obstacle(settings: Mapping[str, Any]) -> str | None:
    """Why a job cannot be trained with others whatever they are, or None."""
    of_trainer = [key.removeprefix("trainer.") for key in settings if key.startswith("trainer.")]
    foreign = [key for key in of_trainer if key not in TRAINER]
    if foreign:
        return f"trainer.{foreign[0]} is for Lightning's own loop"
    precision = settings.get("trainer.precision")
    if precision not in PRECISIONS:
        return f"trainer.precision={precision} is for Lightning's own loop"
    if settings.get("trainer.devices") != 1:
        return "it runs on several devices"
    return None


def _shape(settings: Mapping[str, Any]) -> str:
    """What must be the same for two jobs to be trained together."""
    return repr(sorted((k, v) for k, v in settings.items() if k not in OWN and k not in UNUSED))


def _order(settings: Mapping[str, Any]) -> tuple[int, int]:
    """What decides the minibatches of jobs of one shape."""
    fold = settings.get("data.cv_fold")
    return settings["seed"], -1 if fold is None else fold


def _rectangles(jobs: Sequence[int], settings: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Part sorted jobs so that each order of minibatches is shared by as many jobs in a part.

    Orders that a single job has are no reason for a part of their own.
    """
    orders: dict[tuple[int, int], list[int]] = {}
    for job in jobs:
        orders.setdefault(_order(settings[job]), []).append(job)
    parts: dict[int, list[int]] = {}
    for sharing in orders.values():
        parts.setdefault(len(sharing), []).extend(sharing)
    return list(parts.values())
