"""Gradients of many networks at once: written out for linear layers with ReLU, else by autograd."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_lightning.fused.stacking import StackedNetwork, cross_entropies

# The weight of each face in its model's loss: one number for all faces, or (M, B).
Shares = float | Tensor


def is_written_out(layers: Iterable[nn.Module]) -> bool:
    """Return whether the gradients of these layers are written out, without autograd."""
    return all(isinstance(layer, nn.Flatten | nn.Linear | nn.ReLU) for layer in layers)


def gradients(
    network: StackedNetwork, images: Tensor, labels: Tensor, shares: Shares
) -> tuple[list[Tensor], Tensor]:
    """Return the gradients of each model's loss, the weighted sum of its cross-entropies.

    The gradients of linear layers with ReLU between them are written out: autograd's own work
    around such small products takes about as long as they do.

    Args:
        network: M networks.
        images: Floats in [0, 1], (G, B, 1, H, H).
        labels: (M, B).
        shares: Weight of each face's cross-entropy: one number for all faces, or (M, B).

    Returns:
        The gradients, in the order and shapes of the network's parameters, and its logits,
        (M, B, 7).
    """
    if is_written_out(network.layers):
        return _written_out(network, images, labels, shares)

    def loss(parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
        logits = network(parameters, images)
        return (cross_entropies(logits, labels) * shares).sum(), logits

    if torch.compiler.is_compiling():  # which knows this way alone
        found, logits = torch.func.grad(loss, has_aux=True)(network.parameters)
        return found, logits
    # that way would import the compiler, for which the first step waits a second
    with torch.enable_grad():
        parameters = [each.detach().requires_grad_() for each in network.parameters]
        total, logits = loss(parameters)
        return list(torch.autograd.grad(total, parameters)), logits.detach()


@torch.no_grad()
def _written_out(
    network: StackedNetwork, images: Tensor, labels: Tensor, shares: Shares
) -> tuple[list[Tensor], Tensor]:
    parameters, first = network.parameters, network.first
    outputs = [images]  # of each layer, after the faces themselves
    for i, layer in enumerate(network.layers):
        x = outputs[-1]
        outputs.append(x.relu() if isinstance(layer, nn.ReLU) else network.apply(i, parameters, x))
    logits = outputs[-1]
    d = _of_logits(logits, labels, shares)
    backwards: list[Tensor] = []
    for i in range(len(network.layers) - 1, first - 1, -1):
        layer, x = network.layers[i], outputs[i]
        if isinstance(layer, nn.ReLU):
            d = torch.ops.aten.threshold_backward(d, x, 0)
        elif isinstance(layer, nn.Linear):  # what comes behind one is flat
            of_weight = _shared(network, d, x) if i == first else torch.bmm(d.mT, x)
            backwards += [d.sum(1), of_weight]
            if i > first:
                d = torch.bmm(d, parameters[network.slices[i]][0])
    return backwards[::-1], logits


def _of_logits(logits: Tensor, labels: Tensor, shares: Shares) -> Tensor:
    """Return the gradient with respect to the logits, (M, B, 7): (softmax - one-hot) * shares."""
    if isinstance(shares, Tensor):
        shares = shares.unsqueeze(1)
    # along the classes as in `cross_entropies`; on a GPU, a kernel of their own does without
    d = F.softmax(logits.mT, 1) if logits.is_cpu else F.softmax(logits, -1).mT
    d.scatter_add_(1, labels.unsqueeze(1), d.new_full((), -1.0).expand(len(d), 1, d.shape[2]))
    return d.mul_(shares).mT


def _shared(network: StackedNetwork, d: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of the first layer's weights, (M, out, in).

    Args:
        network: M networks.
        d: The gradient with respect to the layer's output, (M, B, out).
        x: The layer's input, (G, B, in).
    """
    wide = d.unflatten(0, (network.n_groups, network.n_shared)).transpose(1, 2).flatten(2)
    return torch.bmm(wide.mT, x).view(len(network), d.shape[2], x.shape[2])
