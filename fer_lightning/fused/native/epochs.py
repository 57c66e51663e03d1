"""Epochs of many models by compiled loops, a model on each core, where these are faster."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import isqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fer_lightning.fused.gradients import is_written_out
from fer_lightning.fused.native.layout import Layout, is_cnn
from fer_lightning.fused.optimizers import StackedOptimizer, StackedSGD
from fer_lightning.fused.side_by_side import SideBySide
from fer_lightning.fused.stacking import StackedNetwork

# Faces of a step up to which the loops of perceptrons are faster than products of matrices.
FEW_FACES = 16
# A CNN that is trained alone has one core of the loops, and all cores of PyTorch, which is faster
# with many filters, or many faces a step and cores.
FACES_ALONE, CORES_ALONE, FILTERS_ALONE = 10, 2, 24


class NativeEpochs(ABC):
    """Trains M models for an epoch at a time.

    numba, which takes half a second to import, is imported when the first epoch begins.

    Args:
        network: The models, on the CPU.
        optimizer: Theirs.
        faces: The training faces, in the order of the epoch when it is trained.
        batch_size: Faces of a step.
    """

    def __init__(
        self, network: StackedNetwork, optimizer: StackedSGD, faces: SideBySide, batch_size: int
    ) -> None:
        self._network, self._optimizer, self._faces = network, optimizer, faces
        self._batch_size = batch_size
        self._dtype: np.dtype[Any] = network.chunks[0].numpy().dtype

    def __call__(self) -> Tensor:
        """Train for an epoch; return the logits of every face in its step, (M, T, 7)."""
        n_steps = -(-self._faces.rows.shape[1] // self._batch_size)
        rates = self._optimizer.rates_of_epoch(n_steps).numpy()
        names = ("momentum", "weight_decay", "nesterov")

        def train(m: int, pixels: Any, rows: Any, labels: Any, logits: Any) -> None:
            settings = self._optimizer.settings[m]
            of_model = [np.array([getattr(settings, name)], self._dtype) for name in names]
            seen = (pixels, rows, labels, self._batch_size)
            self._train(m, seen, (np.ascontiguousarray(rates[:, m]), *of_model, logits))

        return self._of_each_model(train, self._faces)

    @staticmethod
    @abstractmethod
    def pay_alone(network: nn.Module, batch_size: int, n_threads: int) -> bool:
        """Return whether a single model, on one core, takes less time than PyTorch's threads."""

    @abstractmethod
    def _train(self, m: int, seen: tuple[Any, ...], settings: tuple[Any, ...]) -> None:
        """Train model m; the loop takes what is seen, the weights and velocities, and the rest."""

    def _of_each_model(self, act: Callable[..., None], faces: SideBySide) -> Tensor:
        """Call a function for each model with its faces and labels; return the logits it sets."""
        network = self._network
        M, n_classes = len(network), network.parameters[-1].shape[-1]
        logits = torch.zeros(M, faces.rows.shape[1], n_classes, dtype=network.chunks[0].dtype)
        pixels, rows, labels = (t.numpy() for t in (faces.pixels, faces.rows, faces.labels))
        out = logits.numpy()

        def act_on(m: int) -> None:
            order = m // network.n_shared
            n = faces.lengths[order]
            act(m, pixels, rows[order, :n], labels[m, :n], out[m, :n])

        n_threads = min(torch.get_num_threads(), M)
        if n_threads == 1:
            for m in range(M):
                act_on(m)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(act_on, range(M)))
        return logits


class NativePerceptrons(NativeEpochs):
    """Trains models of nothing but linear layers and ReLU."""

    @staticmethod
    def pay_alone(network: nn.Module, batch_size: int, n_threads: int) -> bool:
        return True

    def _train(self, m: int, seen: tuple[Any, ...], settings: tuple[Any, ...]) -> None:
        from fer_lightning.fused.native.perceptron import train_epoch

        linear = [layer for layer in self._network.layers if isinstance(layer, nn.Linear)]
        widths = np.array([linear[0].in_features, *(layer.out_features for layer in linear)])
        weights = [chunk.numpy()[m] for chunk in self._network.chunks]
        none = [np.empty((0, 0), self._dtype), np.empty(0, self._dtype)]
        moving = [v.numpy()[m] for v in self._optimizer.tensors()] or none
        train_epoch(*seen, widths, *weights, *moving, *settings)


class NativeCNNs(NativeEpochs):
    """Trains models of convolutions with ReLU and max-pooling, and a linear layer."""

    def _train(self, m: int, seen: tuple[Any, ...], settings: tuple[Any, ...]) -> None:
        from fer_lightning.fused.native.cnn import train_epoch

        layout, velocities = self._layout, self._optimizer.tensors()
        weights = self._weights(m)
        moving = self._network.views(velocities) if velocities else []
        velocity = layout.gathered([v[m].numpy() for v in moving], self._dtype)
        places = (layout.blocks, layout.places, layout.shifts, layout.taps, layout.sizes)
        train_epoch(*seen, *places, weights, velocity, *settings)
        layout.scatter(weights, [p[m].numpy() for p in self._network.parameters])
        layout.scatter(velocity, [v[m].numpy() for v in moving])

    @staticmethod
    def pay_alone(network: nn.Module, batch_size: int, n_threads: int) -> bool:
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
        is_narrow = max(layer.out_channels for layer in layers) <= FILTERS_ALONE
        is_short = batch_size <= FACES_ALONE or n_threads <= CORES_ALONE
        return n_threads == 1 or (is_narrow and is_short)

    def logits(self, faces: SideBySide) -> Tensor:
        """Return the logits of faces, (M, T, 7), without training."""
        from fer_lightning.fused.native.cnn import logits_of

        def classify(m: int, pixels: Any, rows: Any, _: Any, logits: Any) -> None:
            layout = self._layout
            places = layout.blocks, layout.places, layout.sizes
            logits_of(pixels, rows, *places, self._weights(m), logits)

        return self._of_each_model(classify, faces)

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self._network.layers, isqrt(self._faces.pixels.shape[1]))

    def _weights(self, m: int) -> "np.ndarray[Any, Any]":
        own = [p[m].numpy() for p in self._network.parameters]
        return self._layout.gathered(own, self._dtype)


def native_epochs(
    network: StackedNetwork, optimizer: StackedOptimizer, faces: SideBySide, batch_size: int
) -> NativeEpochs | None:
    """Return what trains the models by compiled loops, or None where it cannot or is slower."""
    if not (network.chunks[0].is_cpu and isinstance(optimizer, StackedSGD)):
        return None
    if is_cnn(network.layers):
        return NativeCNNs(network, optimizer, faces, batch_size)
    if is_written_out(network.layers) and batch_size <= FEW_FACES:
        return NativePerceptrons(network, optimizer, faces, batch_size)
    return None
