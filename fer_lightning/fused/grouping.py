"""Which jobs of a sweep can be trained together, and how interrupted ones go on."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fer_lightning.runs import CURVES

if TYPE_CHECKING:  # PyTorch takes a second to import
    from fer_lightning.runs import Stored


# In these, models that are trained together may differ.
OWN = {"optim.lr", "optim.momentum", "optim.weight_decay", "optim.nesterov", "optim.betas"}
OWN |= {"optim.eps", "seed", "data.cv_fold"}
# These concern a run that is trained alone, or how it is shown, and not what it computes.
UNUSED = {"threads", "engine", "compile", "checkpoint_every_seconds"}
# In these, too, with all that is set of them.
OF_EACH = {"schedule", "checkpoint", "logger"}
# What of Lightning's Trainer the fused training knows.
TRAINER = {"max_epochs", "accelerator", "devices", "precision", "num_sanity_val_steps"}
TRAINER |= {"log_every_n_steps", "enable_progress_bar", "enable_model_summary"}
# What it does not, however it is set, if it is.
FOREIGN = ("trainer.log_every_n_steps", "augment", "tta", "data.contrast", "data.balanced")
SCHEDULES = (None, "cosine", "onecycle", "step", "plateau")
LOSSES = (None, "crossentropy", "torch.nn.CrossEntropyLoss")
# Whose layers are applied one after another.
NETWORKS = ("mlp", "cnn")
# Whose steps are written for many models at once, in optimizers.py.
OPTIMIZERS = ("sgd", "adamw")
# The device; others are known to Lightning alone.
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
PRECISIONS = (None, 32, 64, "32", "64", "32-true", "64-true")


@dataclass(frozen=True)
class Group:
    """Jobs that are trained together.

    Attributes:
        jobs: Their positions in the sweep; jobs that share their minibatches are adjacent.
        alone: Why the only job of the group is not trained with others, or None.
        can_be_fused: Whether it could be trained with others, if there were any.
    """

    jobs: tuple[int, ...]
    alone: str | None = None
    can_be_fused: bool = True


def grouped(settings: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Divide the jobs of a sweep into groups, in the order of their first jobs.

    Args:
        settings: The settings of each job, as `flat_settings` returns them.
    """
    shapes: dict[str, list[int]] = {}
    groups = []
    for job, its in enumerate(settings):
        reason = obstacle(its)
        if reason:
            groups.append(Group((job,), reason, can_be_fused=False))
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
    """Return why a job cannot be trained together with any other, or None if it can."""
    of_trainer = [key.removeprefix("trainer.") for key in settings if key.startswith("trainer.")]
    foreign = [key for key in of_trainer if key not in TRAINER]
    if foreign:
        return f"trainer.{foreign[0]} is for Lightning's own loop"
    precision = settings.get("trainer.precision")
    if precision not in PRECISIONS:
        return f"trainer.precision={precision} is for Lightning's own loop"
    accelerator = settings.get("trainer.accelerator", "auto")
    if accelerator not in ACCELERATORS:
        return f"trainer.accelerator={accelerator} is for Lightning's own loop"
    if settings.get("trainer.devices") != 1:
        return "it runs on several devices"
    if any(key.startswith("callbacks.") for key in settings):
        return "callbacks are for Lightning's own loop"
    if settings.get("schedule") not in SCHEDULES:
        return f"schedule={settings['schedule']} is for Lightning's own loop"
    of_loss = settings.get("loss.label_smoothing") or settings.get("loss.weight") is not None
    if settings.get("loss") not in LOSSES or of_loss:
        return "loss is for Lightning's own loop"
    given = [key for key in FOREIGN if settings.get(key) not in (None, False)]
    if given:
        return f"{given[0]} is for Lightning's own loop"
    if settings.get("data.labels") is not None and settings.get("data.votes") == "soft":
        return "data.votes=soft is for Lightning's own loop"
    monitor = settings.get("checkpoint.monitor", "val/acc")
    if monitor not in CURVES:
        return f"checkpoint.monitor={monitor} is for Lightning's own loop"
    if settings["model"] not in NETWORKS:
        return f"model={settings['model']} is for Lightning's own loop"
    if settings["optim"] not in OPTIMIZERS:
        return f"optim={settings['optim']} is for Lightning's own loop"
    return None


def _shape(settings: Mapping[str, Any]) -> str:
    """Return, as text, the settings that must be equal for jobs to be trained together."""
    told = {k: v for k, v in settings.items() if k not in OWN and k not in UNUSED}
    return repr(sorted((k, v) for k, v in told.items() if k.split(".")[0] not in OF_EACH))


def _order(settings: Mapping[str, Any]) -> tuple[int, int]:
    """Return seed and fold, which decide the minibatches of jobs of one shape."""
    fold = settings.get("data.cv_fold")
    return settings["seed"], -1 if fold is None else fold


def _rectangles(jobs: Sequence[int], settings: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Divide sorted jobs so that equally many jobs of a part share each order of minibatches.

    Orders that only one job has are in one part together.
    """
    orders: dict[tuple[int, int], list[int]] = {}
    for job in jobs:
        orders.setdefault(_order(settings[job]), []).append(job)
    parts: dict[int, list[int]] = {}
    for sharing in orders.values():
        parts.setdefault(len(sharing), []).extend(sharing)
    return list(parts.values())


@dataclass(frozen=True)
class Part:
    """Jobs of a group that are trained together from here on.

    Attributes:
        jobs: Their positions in the sweep.
        stored: The checkpoint that each job goes on from, except for jobs that begin anew.
        were_together: Whether they have been trained together before.
    """

    jobs: tuple[int, ...]
    stored: Mapping[int, "Stored"] = field(default_factory=dict)
    were_together: bool = False

    @property
    def threads(self) -> int | None:
        """Return the number of threads that stored jobs were trained with, or None without any.

        They go on with as many.
        """
        known = [_state(stored)["threads"] for stored in self.stored.values()]
        return known[0] if known else None


def parts(jobs: Sequence[int], found: Mapping[int, Sequence["Stored"]]) -> list[Part]:
    """Divide the unfinished jobs of a group by the checkpoints that they can go on from.

    Jobs that were trained together go on together, from the newest epoch of which all have a
    checkpoint; so each gets the numbers that it would have had. Jobs that were trained alone go on
    alone; if there are no others, jobs that have not begun are trained alone too.

    Args:
        jobs: Their positions in the sweep, in order.
        found: The undamaged checkpoints of each job, the newest first.
    """
    together = [i for i in jobs if found[i] and _were_together(found[i][0])]
    alone = [i for i in jobs if found[i] and i not in together]
    unbegun = [i for i in jobs if not found[i]]
    made = [Part((i,), {i: found[i][0]}) for i in alone]
    if together and max(len(found[i]) for i in together) == 1 and unbegun:
        # they were stopped while they wrote their first checkpoints, after a few seconds
        return [*made, Part(tuple(i for i in jobs if i not in alone), were_together=True)]
    if together:
        made += _from_one_epoch(together, found)
    elif alone:
        return [*made, *(Part((i,)) for i in unbegun)]
    return [*made, Part(tuple(unbegun))] if unbegun else made


def _from_one_epoch(jobs: Sequence[int], found: Mapping[int, Sequence["Stored"]]) -> list[Part]:
    """Return one part at the newest epoch that all jobs have saved, or else a part per epoch."""
    epochs = {stored.epoch for i in jobs for stored in found[i]}
    for epoch in sorted(epochs, reverse=True):
        at = {i: stored for i in jobs for stored in found[i][::-1] if _stands_for(stored, epoch)}
        if len(at) == len(jobs):
            return [Part(tuple(jobs), at, were_together=True)]
    newest: dict[int, list[int]] = defaultdict(list)
    for i in jobs:
        newest[found[i][0].epoch].append(i)
    return [Part(tuple(of), {i: found[i][0] for i in of}, True) for of in newest.values()]


def _stands_for(stored: "Stored", epoch: int) -> bool:
    """Return whether a run can go on from a checkpoint with others that are at an epoch.

    A run that has diverged or was stopped by that epoch can: it is not trained further.
    """
    is_over = _state(stored)["diverged_at"] is not None or bool(
        stored.content["callbacks"].get("Stops", {}).get("stopped")
    )
    return stored.epoch == epoch or (is_over and stored.epoch <= epoch)


def _were_together(stored: "Stored") -> bool:
    """Return whether a run was trained with others, which may have ended since."""
    state = _state(stored)
    return bool(state.get("together", state["share"] < 1))  # older runs have only the latter


def _state(stored: "Stored") -> dict[str, Any]:
    return stored.of_callback("EpochLog")
