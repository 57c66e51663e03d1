"""The machine that a benchmark runs on."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fer_lightning.machine import processor

Facts = dict[str, str | int | float | None]


def facts() -> Facts:
    """Return the facts about this machine that a table of times must state."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def seconds(run: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def gemm_rate(device: str = "cpu", dtype: torch.dtype = torch.float32) -> float:
    """Return the rate of matrix products (GEMM) of a device in GFLOP/s, the best of ten."""
    a = torch.rand(2048, 2048, device=device, dtype=dtype)

    def product() -> None:
        (a @ a)[0, 0].item()  # waits for the device

    product()
    return 2 * 2048**3 / min(seconds(product) for _ in range(10)) / 1e9


def reset_peak() -> int:
    """Let the peak memory of this process begin anew; return what it has now, in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_kib()


def peak_kib() -> int:
    """Return the peak memory of this process since its program started, in KiB.

    `resource` would also count what the parent process had taken before it started this one.
    """
    facts = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(facts["VmHWM"].split()[0])
