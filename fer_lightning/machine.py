"""The machine that this process runs on."""

import gc
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def processor() -> str:
    """Return the name of its processor, or of its architecture where there is no other."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def n_cores() -> int:
    """Return how many of its cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def first_import(name: str) -> Iterator[None]:
    """Look for no garbage while a large module is imported, and never among what it leaves.

    There is none, and to look for it takes a fifth of the time. Nothing is changed where the module
    has been imported before.

    Args:
        name: Of the module, such as `torch`.
    """
    if name in sys.modules:
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
