"""An epoch of one network: Lightning, the fused loop with and without CUDA graphs, a bare loop."""

import itertools
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import project_run
from benchmarks.faces import ALL, SomeFaces, overrides_of
from benchmarks.gpu.cells import Cell, Part, in_ms, several
from benchmarks.gpu.together import epoch_after_epoch, on_device, training_of
from benchmarks.networks import NETWORKS
from fer_lightning.data.faces import FaceSplits

# How the project trains, by what the table calls it.
WAYS = {
    "lightning": ["engine=lightning"],
    "launched": ["engine=fused", "compile=false"],
    "graphs": ["engine=fused", "compile=auto"],
}
BATCHES = (100, 1000)


def measure(part: Part) -> None:
    """Measure an epoch of each network at each batch size."""
    for name, batch in itertools.product(NETWORKS, BATCHES):
        cell: Cell = {"network": name, "batch": batch}
        part.measure(cell, partial(compare, part, name, batch))


def compare(part: Part, name: str, batch: int) -> Cell:
    """Return the times of an epoch in ms, and their ratios.

    Runs are as users start them, with validation, log and checkpoints; `engine` is the loop of the
    fused runs without these.
    """
    n_faces = 200 if part.is_toy else ALL
    accelerator = "gpu" if part.device.type == "cuda" else "cpu"
    given = [f"model={name}", f"data.batch_size={batch}", *overrides_of(n_faces)]
    given += [f"trainer.accelerator={accelerator}", "image_every_n_epochs=0"]
    figures: Cell = {}
    for way, overrides in WAYS.items():
        epochs = 3 if part.is_toy else {"graphs": 60}.get(way, 15)
        settings = [*given, *overrides, f"trainer.max_epochs={epochs}"]
        figures |= in_ms(way, project_run.epoch_seconds(settings, compiles=False)[2:])
    splits = on_device(SomeFaces(n_faces).read(), part.device)
    figures |= in_ms("bare loop", bare(name, splits, batch, 2 if part.is_toy else 13))
    for way, use_graphs in (("engine, launched", False), ("engine, graphs", True)):
        training = training_of(name, 1, splits, batch)
        training.use_graphs = use_graphs
        repeats = 3 if part.is_toy else 9
        figures |= in_ms(way, several(epoch_after_epoch(training), repeats))
    return figures | {
        "lightning / bare": figures["lightning"] / figures["bare loop"],
        "graphs / bare": figures["graphs"] / figures["bare loop"],
        "launched / graphs": figures["engine, launched"] / figures["engine, graphs"],
    }


def bare(name: str, splits: FaceSplits, batch: int, epochs: int) -> list[float]:
    """Train by a loop that keeps faces and sums on the device; return the seconds of each epoch."""
    network, lr = NETWORKS[name]
    device = splits.train.labels.device
    layers = network().layers.to(device)
    loop = _epochs(layers, splits, batch, lr)
    return several(lambda: next(loop), epochs)


def _epochs(
    layers: nn.Sequential, splits: FaceSplits, batch: int, lr: float
) -> Iterator[tuple[float, float]]:
    optimizer = torch.optim.SGD(layers.parameters(), lr=lr)
    pixels, labels = splits.train.images.flatten(1), splits.train.labels
    while True:
        sums = torch.zeros(2, device=labels.device)
        for rows in torch.randperm(len(labels)).to(labels.device).split(batch):
            x = pixels.index_select(0, rows).view(-1, 1, 48, 48).float().div_(255)
            y = labels.index_select(0, rows)
            logits = layers(x)
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right = (logits.detach().argmax(1) == y).sum()
            sums += torch.stack((loss.detach() * len(y), right))
        with torch.no_grad():
            logits = layers(splits.val.images.float().div_(255))
            ce = F.cross_entropy(logits, splits.val.labels)
        yield float(sums[0]), float(ce)
