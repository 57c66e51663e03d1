"""How the runs of a group that were cut off go on together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fer_lightning.epoch_log import EpochLog
from fer_lightning.resumable_checkpoints import Stored


@dataclass(frozen=True)
class Part:
    """Jobs of a group that are trained together from here on.

    Attributes:
        jobs: Their positions in the sweep.
        stored: What each goes on from, for those that do not begin anew.
        were_together: Whether they have been trained together before.
    """

    jobs: tuple[int, ...]
    stored: Mapping[int, Stored] = field(default_factory=dict)
    were_together: bool = False

    @property
    def threads(self) -> int | None:
        """With how many threads they were trained, so that they go on with as many."""
        known = [_state(stored)["threads"] for stored in self.stored.values()]
        return known[0] if known else None


def parts(jobs: Sequence[int], found: Mapping[int, Sequence[Stored]]) -> list[Part]:
    """Part the unfinished jobs of a group by what they can go on from.

    What was trained together goes on together, from the newest epoch that all have a checkpoint
    of; so each gets the numbers that it would have had. What was trained alone goes on alone, and
    those after it likewise.

    Args:
        jobs: Their positions in the sweep, in order.
        found: The whole checkpoints of each job, the newest first.
    """
    together = [i for i in jobs if found[i] and _state(found[i][0])["share"] < 1]
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


def _from_one_epoch(jobs: Sequence[int], found: Mapping[int, Sequence[Stored]]) -> list[Part]:
    """Go on from the newest epoch of which all have a checkpoint; without one, part by epoch."""
    epochs = {stored.epoch for i in jobs for stored in found[i]}
    for epoch in sorted(epochs, reverse=True):
        at = {i: stored for i in jobs for stored in found[i][::-1] if _stands_for(stored, epoch)}
        if len(at) == len(jobs):
            return [Part(tuple(jobs), at, were_together=True)]
    newest: dict[int, list[int]] = defaultdict(list)
    for i in jobs:
        newest[found[i][0].epoch].append(i)
    return [Part(tuple(of), {i: found[i][0] for i in of}, True) for of in newest.values()]


def _stands_for(stored: Stored, epoch: int) -> bool:
    """Whether a run can go on from here with others that are at an epoch.

    One that has diverged before that epoch only keeps its place among them.
    """
    diverged_at = _state(stored)["diverged_at"]
    return stored.epoch == epoch or (diverged_at is not None and diverged_at <= epoch)


def _state(stored: Stored) -> dict[str, Any]:
    return stored.of_callback(EpochLog.__name__)
