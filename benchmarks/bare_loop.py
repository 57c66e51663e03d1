"""A bare PyTorch loop: what a run needs at least, written by hand."""

import time

import torch
import torch.nn.functional as F
from torch import nn

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.training.optim.optimizers import OptimizerSettings


def epoch_seconds(
    network: nn.Module,
    splits: FaceSplits,
    batch_size: int,
    epochs: int,
    make_optimizer: OptimizerSettings,
    channels_last: bool = False,
) -> list[float]:
    """Train with shuffled minibatches, and validate; return the seconds of each epoch."""
    form = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=form)  # type: ignore[call-overload]
    optimizer = make_optimizer(network.parameters())
    pixels, labels = splits.train.images.flatten(1), splits.train.labels
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        network.train()
        total = correct = 0.0
        for rows in torch.randperm(len(labels)).split(batch_size):
            x = pixels.index_select(0, rows).view(-1, 1, 48, 48).float().div_(255)
            y = labels.index_select(0, rows)
            logits = network(x.contiguous(memory_format=form))
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            correct += (logits.argmax(1) == y).sum().item()
        network.eval()
        evaluate(network, splits.val)
        seconds.append(time.perf_counter() - start)
    return seconds


@torch.no_grad()
def evaluate(network: nn.Module, faces: Faces) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy."""
    logits = network(faces.images.float().div_(255))
    ce = F.cross_entropy(logits, faces.labels).item()
    return ce, (logits.argmax(1) == faces.labels).float().mean().item()
