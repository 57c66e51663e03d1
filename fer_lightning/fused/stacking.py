"""Networks of one shape as one network, whose parameters have a leading axis of models."""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from fer_lightning.networks import CNN, MLP

Parameters = dict[str, Tensor]
Network = MLP | CNN  # which have nothing but `layers`, applied one after another


class StackedNetwork:
    """The forward pass of M = G * L networks, of which L at a time see the same faces.

    The layers are those of the networks themselves. The first with weights, where L models share
    their input, is one wide product (or convolution) for all L; a linear layer further on is one
    batched product; any other layer is mapped over the models by `torch.func.vmap`.

    Args:
        networks: Of one class and one shape.
        n_shared: L. Networks i * L to (i + 1) * L - 1 share the i-th batch of faces.

    Attributes:
        chunks: Where the parameters lie: the first weights, (M, ...), and all others, (M, n). An
            optimiser works on these two instead of many small tensors.
        parameters: The parameters of all layers in their order, (M, ...) each, views of the chunks.
        slices: The slice of `parameters` that belongs to each layer.
        first: Index of the first layer with parameters, whose input L models share.
    """

    def __init__(self, networks: Sequence[Network], n_shared: int) -> None:
        self.n_groups, self.n_shared = len(networks) // n_shared, n_shared
        self.layers = list(networks[0].layers)
        sizes = [sum(1 for _ in layer.parameters()) for layer in self.layers]
        ends = list(accumulate(sizes))
        self.slices = [slice(end - n, end) for n, end in zip(sizes, ends, strict=True)]
        self.first = next(i for i, n in enumerate(sizes) if n)
        self.names = [name for name, _ in networks[0].named_parameters()]
        stacked, _ = stack_module_state(list(networks))
        each = [stacked[name].detach().clone() for name in self.names]
        self._shapes = [p.shape for p in each]
        self.chunks = self.chunked(each)
        self.parameters = self.views(self.chunks)

    def __len__(self) -> int:
        return self.n_groups * self.n_shared

    def chunked(self, each: Sequence[Tensor]) -> list[Tensor]:
        """Return tensors shaped as the parameters in two chunks, as `chunks`."""
        return [each[0], torch.cat([t.flatten(1) for t in each[1:]], 1)]

    def views(self, chunks: Sequence[Tensor]) -> list[Tensor]:
        """Return views of two chunks that are shaped as the parameters."""
        first, rest = chunks
        others = self._shapes[1:]
        parts = rest.split([shape[1:].numel() for shape in others], 1)
        return [
            first,
            *(part.unflatten(1, shape[1:]) for part, shape in zip(parts, others, strict=True)),
        ]

    def state_dict(self, m: int) -> Parameters:
        """Return copies of the weights of network m, named as in its own `state_dict`."""
        return {name: p[m].clone() for name, p in zip(self.names, self.parameters, strict=True)}

    def __call__(self, parameters: Sequence[Tensor], images: Tensor) -> Tensor:
        """Return the logits of all networks.

        Args:
            parameters: Those of all layers in their order, (M, ...) each.
            images: Floats in [0, 1], (G, B, 1, H, H).

        Returns:
            (M, B, 7).
        """
        x = images
        for i in range(len(self.layers)):
            x = self.apply(i, parameters, x)
        return x

    def apply(self, i: int, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """Apply layer i of all networks to the outputs of the layer before it."""
        layer, own = self.layers[i], list(parameters[self.slices[i]])
        if not own:
            out = layer(x.flatten(0, 1))
            return out.view(*x.shape[:2], *out.shape[1:])
        wide = i == self.first and self.n_shared > 1
        return self._wide(layer, own, x) if wide else _own(layer, own, x)

    def _wide(self, layer: nn.Module, parameters: list[Tensor], x: Tensor) -> Tensor:
        """Apply a layer to inputs, (G, B, ...), that L models share; the output is (M, B, ...)."""
        G, L = self.n_groups, self.n_shared
        if isinstance(layer, nn.Linear):
            weight, bias = (p.unflatten(0, (G, L)).flatten(1, 2) for p in parameters)
            out = _linear(x, weight, bias)  # (G, B, L * out)
            return out.unflatten(2, (L, -1)).transpose(1, 2).flatten(0, 1)
        if isinstance(layer, nn.Conv2d):
            weight, bias = (p.unflatten(0, (G, L)).flatten(1, 2) for p in parameters)
            convolve = layer._conv_forward
            maps = [convolve(x[g], weight[g], bias[g]) for g in range(G)]  # (B, L * out, H, W)
            return torch.stack(maps).unflatten(2, (L, -1)).transpose(1, 2).flatten(0, 1)
        return _own(layer, parameters, x.repeat_interleave(L, 0))


def _own(layer: nn.Module, parameters: list[Tensor], x: Tensor) -> Tensor:
    """Apply a layer to inputs, (M, B, ...), that are separate for each model."""
    if isinstance(layer, nn.Linear):
        return _linear(x, *parameters)
    names = [name for name, _ in layer.named_parameters()]
    if len(x) == 1:  # what vmap would add to a single model is half of its time
        of_one = {name: p[0] for name, p in zip(names, parameters, strict=True)}
        return functional_call(layer, of_one, (x[0],)).unsqueeze(0)

    def one(parameters: list[Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    return vmap(one)(parameters, x)


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W^T + b of each of n layers, (n, B, out), for inputs (n, B, in)."""
    if len(x) > 1:
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
    if x.is_cpu:  # one product adds its bias by itself
        return F.linear(x[0], weight[0], bias[0]).unsqueeze(0)
    # on a GPU, cuBLAS takes longer where it adds the bias
    return torch.mm(x[0], weight[0].mT).add_(bias[0]).unsqueeze(0)


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of every face under every network, in nats.

    Args:
        logits: (M, B, 7).
        labels: (M, B).

    Returns:
        (M, B).
    """
    # several times as fast as with the few classes as the last axis, along which memory runs
    return F.cross_entropy(logits.mT, labels, reduction="none")
