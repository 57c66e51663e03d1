"""How many models are trained at once: as many as fit into memory."""

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import torch
from torch import Tensor, nn

from fer_lightning.data import EVALUATION_BATCH, SIZE
from fer_lightning.training import AdamW, ExpressionNetwork, Run

_SHARE = 0.5


def free_bytes(device: torch.device) -> int:
    """Return half of the memory that is free now on a device."""
    if device.type == "cuda":
        return int(_SHARE * torch.cuda.mem_get_info(device)[0])
    return int(_SHARE * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def bytes_of_model(model: ExpressionNetwork, batch_size: int) -> int:
    """Return an estimate of the memory that one model takes in a fused training, in bytes.

    It counts the weights, their gradients, the optimiser's state, the best weights so far and a
    copy while they are saved; and twice the activations of a minibatch.
    """
    n_state = 2 if isinstance(model.optimizer, AdamW) else 1
    n_weights = sum(p.numel() for p in model.parameters())
    batch = max(batch_size, EVALUATION_BATCH)
    side = model.settings.get("image_size", SIZE)
    numbers = (4 + n_state) * n_weights + 2 * batch * _passed_on(model.network, side)
    return numbers * next(model.parameters()).element_size()


def bytes_of_run(run: Run) -> int:
    """Return what `bytes_of_model` does for the network of a run."""
    return bytes_of_model(run.model, run.datamodule.batch_size)


@torch.no_grad()
def _passed_on(network: nn.Module, side: int) -> int:
    """Return the number of activations of a network for one face, its pixels included."""
    first = next(network.parameters())
    x: Tensor = torch.zeros(1, 1, side, side, dtype=first.dtype, device=first.device)
    total = x.numel()
    assert isinstance(network.layers, nn.Sequential)
    for layer in network.layers:
        x = layer(x)
        total += x.numel()
    return total


def waves(jobs: Sequence[tuple[int, object]], n_fitting: int) -> Iterator[list[int]]:
    """Divide jobs into waves of at most n_fitting; jobs of one order stay together if they fit.

    Args:
        jobs: Each with its order of minibatches; jobs of one order are adjacent.
        n_fitting: The most that are trained at once.
    """
    wave: list[int] = []
    for _, sharing in groupby(jobs, key=itemgetter(1)):
        order = [job for job, _ in sharing]
        if len(wave) + len(order) > n_fitting and wave:
            yield wave
            wave = []
        while len(order) > n_fitting:
            yield order[:n_fitting]
            order = order[n_fitting:]
        wave += order
    if wave:
        yield wave
