"""The initial weights of the study's networks."""

import torch
from torch import nn


@torch.no_grad()
def initialise(layers: nn.Sequential) -> None:
    """Draw weights as in the study: Normal(0, 0.1^2), in the last layer 0.01^2; biases are 0."""
    weighted = [layer for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
    for layer in weighted:
        layer.weight.normal_(0, 0.01 if layer is weighted[-1] else 0.1)
        layer.bias.zero_()  # type: ignore[union-attr]
