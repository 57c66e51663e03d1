"""The machine that this process runs on."""

import os
import platform
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
