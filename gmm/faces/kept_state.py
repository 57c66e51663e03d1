"""The state of EM in the folder of a run, so that a fit that is cut off goes on."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from fer_lightning import processes
from fer_lightning.errors import require_number
from fer_lightning.files import new_generation, remove_generations, whole_generations
from fer_lightning.processes import is_waiting, leads, stop_if_waiting
from gmm.fitting.em import Memory
from gmm.fitting.em_state import Kept

NAME = "em.pt"

log = logging.getLogger(__name__)


class KeptState:
    """Keeps the state of EM in a file every few seconds, and when a signal asks the run to end.

    Of several processes only the first one writes, and all read.

    Args:
        folder: Of the run.
        every_seconds: The least time between two writings, in seconds.
        resumes: Whether to go on from what is there.

    Raises:
        SettingError: The time breaks its rule.
    """

    def __init__(self, folder: Path, every_seconds: float, resumes: bool) -> None:
        require_number("checkpoint_every_seconds", every_seconds, 0)
        self.path = folder / NAME
        self.every_seconds = every_seconds
        self.resumes = resumes
        self._written = time.monotonic()

    def recall(self) -> Kept | None:
        """Return the newest undamaged state, or None."""
        if not self.resumes:
            return None
        found: list[Kept] = whole_generations(self.path, lambda _, content: content)
        if not found:
            log.info("begins anew: there is no state of EM to go on from")
            return None
        log.info("goes on from iteration %d", found[0]["log_likelihood"].shape[-1])
        return found[0]

    def keep(self, state: Callable[[], Kept]) -> None:
        """Write the state if it is due, and end the run here if a signal waits."""
        if not leads():  # which sums with the others until the first one leaves
            return
        if time.monotonic() - self._written >= self.every_seconds or is_waiting():
            with new_generation(self.path) as part, part.open("wb") as file:
                torch.save(state(), file)
            self._written = time.monotonic()
        stop_if_waiting()

    @contextmanager
    def signals_wait(self) -> Iterator[None]:
        """Hold signals back inside this block until the state is written, or some seconds."""
        with processes.signals_wait():
            try:
                yield
            except RuntimeError:  # from a sum with a process that has left
                if not leads():
                    stop_if_waiting()
                raise


class Turns:
    """The states of several fits, one after another, in a memory that has room for one.

    A fit that has ended goes on from its last state, where nothing is left to do.

    Args:
        memory: Where the states of all are kept together.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        kept = memory.recall()
        self._recalled: list[Kept] = [] if kept is None else kept["fits"]
        self._ended: list[Kept] = []
        self._latest: Callable[[], Kept] | None = None

    def recall(self) -> Kept | None:
        """Return the state of the fit whose turn it is now, or None; each fit asks once."""
        if self._latest is not None:
            self._ended.append(self._latest())
        turn = len(self._ended)
        found = self._recalled[turn] if turn < len(self._recalled) else None
        self._latest = None if found is None else lambda: found
        return found

    def keep(self, state: Callable[[], Kept]) -> None:
        """Store the states of all fits so far."""
        self._latest = state
        self._memory.keep(lambda: _together([*self._ended, state()]))


def _together(fits: list[Kept]) -> Kept:
    return {"fits": fits, "log_likelihood": fits[-1]["log_likelihood"]}


def remove_state(folder: Path) -> None:
    """Remove the state of EM from the folder of a finished run."""
    remove_generations(folder / NAME)
