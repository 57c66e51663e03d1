"""Many networks trained as one."""

import copy
import itertools
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.faces import ALL, SomeFaces
from benchmarks.flops import epoch_flops
from benchmarks.gpu.cells import Cell, Part, in_ms, several
from benchmarks.gpu.device import rates
from benchmarks.networks import NETWORKS
from fer_lightning.data.faces import FaceSplits
from fer_lightning.fused.compiling import Compilation
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.training.optim.optimizers import SGD

# Of the study's grids.
OPTIMIZERS = [SGD(lr, m) for lr in (0.001, 0.05, 0.1, 0.5, 1.0) for m in (0.0, 0.5, 0.9)]
# Network, models, orders of minibatches that they share, what else, from the most important on.
CELLS = [
    ("mlp", 1, 1, ""),
    ("mlp", 75, 1, ""),
    ("mlp", 3000, 1, ""),
    ("mlp", 15, 1, ""),
    ("mlp", 375, 1, ""),
    ("mlp", 75, 5, ""),
    ("mlp", 1, 1, "TF32"),
    ("mlp", 3000, 1, "TF32"),
    ("cnn", 1, 1, ""),
    ("cnn", 5, 1, ""),
    ("cnn", 75, 1, ""),
    ("cnn", 1, 1, "TF32"),
    ("cnn", 75, 1, "TF32"),
    ("mlp", 1, 1, "compiled"),
    ("mlp", 3000, 1, "compiled"),
]


def measure(part: Part) -> None:
    """Measure an epoch of all cells."""
    base: dict[tuple[str, str], float] = {}
    for name, n_models, n_orders, extra in CELLS:
        n = min(n_models, 6 if name == "mlp" else 2) if part.is_toy else n_models
        cell = {"network": name, "models": n_models, "orders": n_orders, "": extra}
        if extra == "compiled" and part.device.type != "cuda":
            part.note(cell, "needs a CUDA device")
            continue
        alone = base.get((name, extra))
        run = partial(_cell, part, name, n, min(n_orders, n), extra, alone)
        figures = part.measure(cell, run)
        if figures and n_models == 1:
            base[name, extra] = figures["ms"]


def _cell(
    part: Part, name: str, n_models: int, n_orders: int, extra: str, alone: float | None
) -> Cell:
    n_faces = 100 if part.is_toy else ALL
    splits = on_device(SomeFaces(n_faces).read(), part.device)
    is_cuda = part.device.type == "cuda"
    training = training_of(name, n_models, splits, 100, n_orders)
    training.use_graphs = True
    if is_cuda:
        torch.cuda.reset_peak_memory_stats()
    precise = extra != "TF32"
    torch.set_float32_matmul_precision("highest" if precise else "high")
    torch.backends.cudnn.allow_tf32 = not precise
    try:
        if extra == "compiled":
            Compilation(training, True).consider(0)
        times = several(epoch_after_epoch(training), 2 if part.is_toy else 7)
    finally:
        torch.set_float32_matmul_precision("highest")
    figures = in_ms("ms", times)
    layers = NETWORKS[name][0]().layers
    needed = n_models * epoch_flops(layers, n_faces, len(splits.val)) / 1e12
    rate = rates(part).get("GEMM, float32")
    figures["times one model's"] = figures["ms"] / alone if alone else None
    figures["models per second"] = 1e3 * n_models / figures["ms"]
    figures["share of the float32 GEMM rate"] = (
        needed / (figures["ms"] / 1e3) / rate if rate else None
    )
    figures["peak MiB"] = torch.cuda.max_memory_allocated() >> 20 if is_cuda else None
    return figures


def training_of(
    name: str, n_models: int, splits: FaceSplits, batch: int, n_orders: int = 1
) -> FusedTraining:
    """Return a training of models with the optimisers of the grid in turn, in float32."""
    network, _ = NETWORKS[name]
    torch.manual_seed(0)
    drawn = [network().to(splits.train.labels.device) for _ in range(min(n_models, 75))]
    each = n_models // n_orders
    members = []
    for m in range(n_models):
        # copies are cheap, and weights decide nothing of a time
        own = drawn[m] if m < len(drawn) else copy.copy(drawn[m % len(drawn)])
        members.append(Member(own, OPTIMIZERS[m % len(OPTIMIZERS)], splits, seed=m // each))
    return FusedTraining(members, batch)


def epoch_after_epoch(training: FusedTraining) -> Callable[[], None]:
    """Return a function that trains for the next epoch and validates at each call."""
    epochs = itertools.count()

    def epoch() -> None:
        training.train_epoch(next(epochs))
        training.validate()

    return epoch


def on_device(splits: FaceSplits, device: torch.device) -> FaceSplits:
    """Return the splits on a device."""
    return FaceSplits(*(faces.to(device) for _, faces in splits))
