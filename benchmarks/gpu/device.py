"""What the device can do at all: rates of products, bandwidths, and the time of a launch."""

import statistics
from functools import partial

import torch

from benchmarks.gpu.cells import Cell, Part, several

# Name, type of the numbers, and PyTorch's precision of products in float32.
PRECISIONS = {
    "float64": (torch.float64, "highest"),
    "float32": (torch.float32, "highest"),
    "TF32": (torch.float32, "high"),
    "bfloat16": (torch.bfloat16, "highest"),
}


def measure(part: Part) -> None:
    """Measure the device."""
    for name in PRECISIONS:
        part.measure({"what": f"GEMM, {name}"}, partial(gemm, part, name))
    part.measure({"what": "memory, read and written"}, partial(memory, part))
    part.measure({"what": "host to device, pinned"}, partial(to_device, part))
    part.measure({"what": "a kernel, launched by itself"}, partial(launch, part))
    if part.device.type == "cuda":
        part.measure({"what": "a kernel in a CUDA graph"}, partial(in_a_graph, part))
    else:
        part.note({"what": "a kernel in a CUDA graph"}, "needs a CUDA device")


def gemm(part: Part, name: str) -> Cell:
    """Return the rate of a large square product in TFLOP/s."""
    dtype, precision = PRECISIONS[name]
    n = 64 if part.is_toy else 8192
    a, b = (torch.randn(n, n, device=part.device, dtype=dtype) for _ in range(2))
    torch.set_float32_matmul_precision(precision)
    try:
        times = several(lambda: a @ b, 5)
    finally:
        torch.set_float32_matmul_precision("highest")
    return _rate(2 * n**3 / 1e12, times, "TFLOP/s")


def memory(part: Part) -> Cell:
    """Return the bandwidth of a large copy in GB/s, what is read and what is written counted."""
    n = 1 << (16 if part.is_toy else 31)
    source = torch.randint(0, 256, (n,), dtype=torch.uint8, device=part.device)
    target = torch.empty_like(source)
    return _rate(2 * n / 1e9, several(lambda: target.copy_(source), 7), "GB/s")


def to_device(part: Part) -> Cell:
    """Return the bandwidth from pinned memory of the host in GB/s."""
    n = 1 << (16 if part.is_toy else 28)
    is_cuda = part.device.type == "cuda"
    source = torch.zeros(n, dtype=torch.uint8, pin_memory=is_cuda)
    target = torch.empty(n, dtype=torch.uint8, device=part.device)
    times = several(lambda: target.copy_(source, non_blocking=True), 5)
    return _rate(n / 1e9, times, "GB/s")


def launch(part: Part) -> Cell:
    """Return the time of one of many small kernels, launched one after another, in us."""
    x = torch.zeros(16, device=part.device)
    return _rate(1e-6, several(lambda: x.add_(1), 5, calls=1000), "us", inverse=True)


def in_a_graph(part: Part) -> Cell:
    """Return the time of one of many small kernels within a CUDA graph, in us."""
    x = torch.zeros(16, device=part.device)
    x.add_(1)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(1000):
            x.add_(1)
    return _rate(1e-6, [t / 1000 for t in several(graph.replay, 5)], "us", inverse=True)


def _rate(amount: float, seconds: list[float], unit: str, inverse: bool = False) -> Cell:
    rates = sorted((s / amount if inverse else amount / s) for s in seconds)
    return {
        "median": statistics.median(rates),
        "spread": f"{rates[0]:.3g}-{rates[-1]:.3g}",
        "unit": unit,
    }


def rates(part: Part) -> dict[str, float]:
    """Return what was measured of the device by name, in TFLOP/s and GB/s."""
    found = {cell["what"]: cell.get("median") for cell in part.of("device")}
    return {name: value for name, value in found.items() if value}
