"""The processes that work on one run, which of them leads, and the signals that end them.

The environment tells the place of a process as `torchrun` does, in RANK, LOCAL_RANK, WORLD_SIZE,
LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT. SIGINT and SIGTERM end a command at once, and a
training when its state can be saved."""

import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from omegaconf import DictConfig

from fer_lightning.errors import InputError, Interrupted, require, require_integer

JOIN_SECONDS = 60.0


def rank() -> int:
    """Return the rank of this process among those that work together; the one of rank 0 leads."""
    return int(os.environ.get("RANK", 0))


def local_rank() -> int:
    """Return the rank of this process among those on its machine."""
    return int(os.environ.get("LOCAL_RANK", 0))


def n_processes() -> int:
    """Return how many processes work together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def leads() -> bool:
    """Return whether this process leads: it alone writes files and messages."""
    return rank() == 0


def place_of_run(folder: Path, resume: str | None) -> Path:
    """Return the folder that a process reads a resumed run from; it may write to another.

    Args:
        folder: Where this process writes.
        resume: The setting `resume`: the folder of the run, or None for a new run.
    """
    return folder if leads() or resume is None else Path(resume)


def require_processes(trainer: DictConfig) -> None:
    """Raise a `SettingError` if the trainer's strategy and devices do not fit the processes."""
    strategy, devices = trainer.get("strategy", "auto"), trainer.devices
    require(strategy in ("auto", "ddp"), "trainer.strategy", "be auto or ddp", strategy)
    require_integer("trainer.devices", devices, 1)
    alone = "be 1 unless trainer=ddp is given"
    require(devices == 1 or strategy == "ddp", "trainer.devices", alone, devices)
    given = os.environ.get("LOCAL_WORLD_SIZE", str(devices))
    rule = f"be {given}, the number of processes that were started here"
    require(str(devices) == given, "trainer.devices", rule, devices)


@contextmanager
def joined_by_others(n: int, work: Callable[..., object], *args: object) -> Iterator[None]:
    """Start n - 1 other processes on this machine that work beside a block, led by this process.

    Where a launcher such as `torchrun` has started the processes already, there is nothing to do.

    Args:
        n: Processes in all.
        work: What each of the others calls; its mistakes are left to the leader to tell.
        args: For work, to be pickled.
    """
    if n == 1 or "RANK" in os.environ:
        yield
        return
    context = multiprocessing.get_context("spawn")
    with _environment(LOCAL_WORLD_SIZE=n, WORLD_SIZE=n, **_meeting_place()):
        others = [
            context.Process(target=_follow, args=(place, work, *args), daemon=True)
            for place in range(1, n)
        ]
        for other in others:
            other.start()
        try:
            with _environment(RANK=0, LOCAL_RANK=0):
                yield
            for other in others:
                other.join(JOIN_SECONDS)
        finally:
            for other in others:
                other.kill()  # as it may wait for the leader, deaf to gentler signals
                other.join()


def _follow(place: int, work: Callable[..., object], *args: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leader saves, and then ends the others
    os.environ.update(RANK=str(place), LOCAL_RANK=str(place))
    with suppress(InputError):
        work(*args)


def _meeting_place() -> dict[str, object]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free.getsockname()[1]}


@contextmanager
def _environment(**values: object) -> Iterator[None]:
    """Set environment variables for the duration of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


GRACE_SECONDS = 3.0  # that an epoch or an iteration may still take, so that its end is saved


class _Signals:
    """The signal that has arrived in this process, and whether signals can wait."""

    handled = False
    can_wait = False
    waiting: int | None = None

    def arrived(self, signum: int, frame: FrameType | None) -> None:
        """Let a signal wait, or raise `Interrupted` if it cannot or comes a second time."""
        if self.can_wait and self.waiting is None:
            self.waiting = signum
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
        elif self.waiting in (None, signum):
            raise Interrupted(signum)

    def grace_is_over(self, signum: int, frame: FrameType | None) -> None:
        self.raise_waiting()

    def raise_waiting(self) -> None:
        if self.waiting is not None:
            raise Interrupted(self.waiting)


_signals = _Signals()


def handle_signals() -> None:
    """Handle signals from now on: raise `Interrupted` when SIGINT or SIGTERM arrives."""
    _signals.handled = True
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _signals.arrived)
    signal.signal(signal.SIGALRM, _signals.grace_is_over)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Hold signals back inside this block, for at most `GRACE_SECONDS`."""
    _signals.can_wait = True
    try:
        yield
        _signals.raise_waiting()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _signals.can_wait, _signals.waiting = False, None


def is_waiting() -> bool:
    """Return whether a signal waits for the next moment at which the state can be saved."""
    return _signals.waiting is not None


def stop_if_waiting() -> None:
    """Raise `Interrupted` if a signal waits."""
    _signals.raise_waiting()


def take_signals_back() -> None:
    """Install this process's signal handlers, if any, again after a library replaced them."""
    if _signals.handled:
        handle_signals()
