"""SIGINT and SIGTERM: they end a command at once, and a training when its state can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fer_lightning.errors import Interrupted

GRACE_SECONDS = 3.0  # that an epoch or an iteration may still take, so that its end is saved


class _Signals:
    """What has arrived in this process, and whether it can wait."""

    handled = False
    can_wait = False
    waiting: int | None = None

    def arrived(self, signum: int, frame: FrameType | None) -> None:
        """Take a signal: the same one a second time does not wait."""
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
    """Raise `Interrupted` in this process when SIGINT or SIGTERM arrives."""
    _signals.handled = True
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _signals.arrived)
    signal.signal(signal.SIGALRM, _signals.grace_is_over)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Let signals wait inside this block, for `GRACE_SECONDS` at most."""
    _signals.can_wait = True
    try:
        yield
        _signals.raise_waiting()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _signals.can_wait, _signals.waiting = False, None


def is_waiting() -> bool:
    """Whether a signal waits for the next moment at which the state can be saved."""
    return _signals.waiting is not None


def stop_if_waiting() -> None:
    """Raise `Interrupted` if a signal waits."""
    _signals.raise_waiting()


def take_signals_back() -> None:
    """Handle signals again, if this process does, where a library has taken them over."""
    if _signals.handled:
        handle_signals()
