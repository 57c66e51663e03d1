"""The floating-point operations that an epoch needs at least."""

import torch
from torch import Tensor, nn

from fer_lightning.data import SIZE


def epoch_flops(layers: nn.Sequential, n_train: int, n_val: int) -> float:
    """Return the FLOPs of an epoch: n_train faces forward and backward, n_val faces forward.

    Only matrix products count. A backward pass needs as many operations for the gradients of a
    layer's weights as its forward pass, and as many again for the gradients of its input, which the
    first layer does without.
    """
    each = _forward_flops(layers)
    forward, inputs = sum(each), sum(each[1:])
    return n_train * (2 * forward + inputs) + n_val * forward


@torch.no_grad()
def _forward_flops(layers: nn.Sequential) -> list[float]:
    """Return the FLOPs of a forward pass of one face, for each layer with weights."""
    x: Tensor = torch.zeros(1, 1, SIZE, SIZE)
    flops = []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.Linear | nn.Conv2d):
            places = x[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
            flops.append(2.0 * layer.weight.numel() * places)
    return flops
