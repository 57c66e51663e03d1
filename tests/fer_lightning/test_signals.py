import os
import signal
import time

import pytest

from fer_lightning import processes
from fer_lightning.errors import Interrupted
from fer_lightning.processes import (
    handle_signals,
    is_waiting,
    signals_wait,
    stop_if_waiting,
    take_signals_back,
)


@pytest.fixture(autouse=True)
def handled(monkeypatch):
    """Handle signals in this process for the length of a test."""
    signums = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(signum) for signum in signums]
    monkeypatch.setattr(processes._signals, "handled", False)
    handle_signals()
    yield
    for signum, handler in zip(signums, before, strict=True):
        signal.signal(signum, handler)


def arrive(signum):
    os.kill(os.getpid(), signum)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_at_once_with_the_usual_status(signum, status):
    with pytest.raises(Interrupted) as stopped:
        arrive(signum)
    assert stopped.value.status == status


def test_a_signal_waits_until_the_state_is_saved():
    reached = []
    with pytest.raises(Interrupted), signals_wait():  # noqa: PT012
        arrive(signal.SIGTERM)
        reached.append(is_waiting())
        stop_if_waiting()
        reached.append("not this")
    assert reached == [True]
    assert not is_waiting()


def test_a_signal_that_waited_for_nothing_ends_the_command_after_the_block():
    with pytest.raises(Interrupted), signals_wait():
        arrive(signal.SIGINT)


def test_the_same_signal_again_does_not_wait_and_another_one_is_the_same_wish():
    reached = []
    with pytest.raises(Interrupted), signals_wait():  # noqa: PT012
        arrive(signal.SIGINT)
        arrive(signal.SIGTERM)
        reached.append(1)
        arrive(signal.SIGINT)
        reached.append(2)
    assert reached == [1]


def test_what_takes_too_long_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.05)
    began = time.monotonic()
    with pytest.raises(Interrupted), signals_wait():  # noqa: PT012
        arrive(signal.SIGTERM)
        time.sleep(20)
    assert time.monotonic() - began < 10


def test_signals_are_taken_back_from_a_library():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    take_signals_back()
    with pytest.raises(Interrupted):
        arrive(signal.SIGTERM)
