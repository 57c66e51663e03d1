"""How many models fit into memory at once."""

import os

import torch
from torch import Tensor, nn

from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.datamodule import EVALUATION_BATCH
from fer_lightning.data.faces import SIZE
from fer_lightning.optimizers import AdamW

_SHARE = 0.5


def free_bytes(device: torch.device) -> int:
    """Half of the memory that is free now on a device."""
    if device.type == "cuda":
        return int(_SHARE * torch.cuda.mem_get_info(device)[0])
    return int(_SHARE * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def bytes_of_model(network: ExpressionClassifier, batch_size: int) -> int:
    """About what one model takes in a fused training.

    Its weights, their gradients, the optimiser's state, the best weights so far and a copy while
    they are saved; and twice what its layers pass on for a minibatch.
    """
    n_state = 2 if isinstance(network.optimizer, AdamW) else 1
    n_weights = sum(p.numel() for p in network.parameters())
    batch = max(batch_size, EVALUATION_BATCH)
    numbers = (4 + n_state) * n_weights + 2 * batch * _passed_on(network)
    return numbers * next(network.parameters()).element_size()


@torch.no_grad()
def _passed_on(network: ExpressionClassifier) -> int:
    """Numbers that the layers of a network pass on for one face, the face included."""
    first = next(network.parameters())
    x: Tensor = torch.zeros(1, 1, SIZE, SIZE, dtype=first.dtype, device=first.device)
    total = x.numel()
    for layer in network.layers:
        assert isinstance(layer, nn.Module)
        x = layer(x)
        total += x.numel()
    return total
