"""The folder of a run that goes on: what it goes on from, and what it leaves behind."""

import shutil
from pathlib import Path

from fer_lightning.epoch_log import growing_files
from fer_lightning.processes import leads
from fer_lightning.resumable_checkpoints import LAST, Stored, whole_checkpoints


def goes_on_from(folder: Path) -> Stored | None:
    """What a run goes on from: its newest whole checkpoint, or None.

    The process that leads puts the folder in order; the others find the checkpoint there.
    """
    if leads():
        sweep_up(folder)
        return newest_checkpoint(folder / "checkpoints")
    found = whole_checkpoints(folder / "checkpoints")
    return Stored(found[0].path.with_name(LAST), found[0].content) if found else None


def newest_checkpoint(folder: Path) -> Stored | None:
    """The newest whole checkpoint in a folder, in the place of any newer one; None without one."""
    found = whole_checkpoints(folder)
    return in_place(found[0]) if found else None


def in_place(stored: Stored) -> Stored:
    """The same checkpoint as the last one of its run, which goes on from there."""
    last = stored.path.with_name(LAST)
    stored.path.replace(last)
    return Stored(last, stored.content)


def begin_anew(folder: Path) -> None:
    """Remove what a run has written in its folder but its settings and its log."""
    growing_files(folder).remove()
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def sweep_up(folder: Path) -> None:
    """Remove the files in a run's folder that were cut off while they were written."""
    for part in [*folder.glob(".*.part"), *folder.glob("checkpoints/.*.part")]:
        part.unlink()
