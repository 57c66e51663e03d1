"""Epochs of many models by compiled loops, a model on each core, where these are faster."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

from fer_lightning.fused.gradients import is_written_out
from fer_lightning.fused.native.layout import Layout, is_cnn
from fer_lightning.fused.optimizers import StackedOptimizer, StackedSGD
from fer_lightning.fused.side_by_side import SideBySide
from fer_lightning.fused.stacking import StackedNetwork
from fer_lightning.training import SGD

# Faces of a step up to which the loops of perceptrons are faster than products of matrices.
FEW_FACES = 7
# One model has one core of the loops, and all cores of PyTorch, which is faster with many filters,
# or many faces a step and cores.
FACES_ALONE, CORES_ALONE, FILTERS_ALONE = 10, 2, 24
_FACES_OF_ONE = 100  # of the last perceptron of several, on so few cores
_OF_PART = 0.35  # what a part of few models takes longer, in the time of a model


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
        self._n_threads: int | None = None  # within `side_by_side`

    def __call__(self) -> Tensor:
        """Train for an epoch; return the logits of every face in its step, (M, T, 7)."""
        n_steps = -(-self._faces.rows.shape[1] // self._batch_size)
        rates = self._optimizer.rates_of_epoch(n_steps).numpy()
        settings = [
            np.array([getattr(each, name) for each in self._optimizer.settings], self._dtype)
            for name in ("momentum", "weight_decay", "nesterov")
        ]

        def train(models: slice, pixels: Any, rows: Any, labels: Any, logits: Any) -> None:
            seen = (pixels, rows, labels, self._batch_size)
            own = (rates[:, models].copy(), *(values[models] for values in settings), logits)
            self._train(models, seen, own)

        return self._of_parts(train, self._faces)

    @abstractmethod
    def logits(self, faces: SideBySide) -> Tensor:
        """Return the logits of faces, (M, T, 7), without training."""

    @contextmanager
    def side_by_side(self) -> Iterator[int]:
        """Leave the cores to the loops: neither PyTorch nor BLAS uses more than one within.

        A thread of theirs that waits for more to do keeps a core busy, which a loop would need.
        """
        if self._n_threads is not None:
            yield self._n_threads
            return
        self._n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with _blas().limit(limits=1):
                yield self._n_threads
        finally:
            torch.set_num_threads(self._n_threads)
            self._n_threads = None

    @staticmethod
    @abstractmethod
    def pay_alone(network: nn.Module, batch_size: int, n_threads: int) -> bool:
        """Return whether a run by itself takes the loops, with one core, by default."""

    @abstractmethod
    def _train(self, models: slice, seen: tuple[Any, ...], own: tuple[Any, ...]) -> None:
        """Train models; the loop takes what is seen, the weights and velocities, and the rest."""

    def _parts(self, n_threads: int) -> list[slice]:
        """Return the models that a core takes at a time, which see the same faces."""
        return _equal_parts(len(self._network), len(self._network))

    def _of_parts(self, act: Callable[..., None], faces: SideBySide) -> Tensor:
        """Call a function for all models with their faces and labels; return the logits it sets."""
        network = self._network
        M, n_classes = len(network), network.parameters[-1].shape[-1]
        logits = torch.zeros(M, faces.rows.shape[1], n_classes, dtype=network.chunks[0].dtype)
        pixels, rows, labels = (t.numpy() for t in (faces.pixels, faces.rows, faces.labels))
        out = logits.numpy()

        def act_on(models: slice) -> None:
            order = models.start // network.n_shared
            n = faces.lengths[order]
            act(models, pixels, rows[order, :n], labels[models.start, :n], out[models, :n])

        with self.side_by_side() as n_threads:
            parts = self._parts(n_threads)
            if n_threads == 1 or len(parts) == 1:
                for models in parts:
                    act_on(models)
            else:
                with ThreadPoolExecutor(min(n_threads, len(parts))) as pool:
                    list(pool.map(act_on, parts))
        return logits


class NativePerceptrons(NativeEpochs):
    """Trains models of nothing but linear layers and ReLU."""

    @staticmethod
    def pay_alone(network: nn.Module, batch_size: int, n_threads: int) -> bool:
        return batch_size <= FACES_ALONE

    def logits(self, faces: SideBySide) -> Tensor:
        from fer_lightning.fused.native.wide import logits_of

        def classify(models: slice, pixels: Any, rows: Any, _: Any, logits: Any) -> None:
            weights = [chunk.numpy()[models] for chunk in self._network.chunks]
            logits_of(pixels, rows, self._widths, *weights, logits)

        return self._of_parts(classify, faces)

    def _train(self, models: slice, seen: tuple[Any, ...], own: tuple[Any, ...]) -> None:
        weights = [chunk.numpy()[models] for chunk in self._network.chunks]
        moving = [v.numpy()[models] for v in self._optimizer.tensors()]
        if self._batch_size > FEW_FACES:
            from fer_lightning.fused.native.wide import train_epoch as train_wide

            moving = moving or [weights[0][:0], weights[1][:0]]
            train_wide(*seen, self._widths, *weights, *moving, *own)
            return
        from fer_lightning.fused.native.perceptron import train_epoch

        of_one = [t[0] for t in (*weights, *moving)]
        none = [] if moving else [of_one[0][:0], of_one[1][:0]]
        train_epoch(*seen, self._widths, *of_one, *none, *_of_one(own))

    @cached_property
    def _widths(self) -> "np.ndarray[Any, Any]":
        linear = [layer for layer in self._network.layers if isinstance(layer, nn.Linear)]
        return np.array([linear[0].in_features, *(layer.out_features for layer in linear)])

    def _parts(self, n_threads: int) -> list[slice]:
        network = self._network
        few = self._batch_size <= FEW_FACES
        n = network.n_shared if few else n_parts(network.n_groups, network.n_shared, n_threads)
        return _equal_parts(len(network), network.n_groups * n)


class NativeCNNs(NativeEpochs):
    """Trains models of convolutions with ReLU and max-pooling, and a linear layer."""

    def _train(self, models: slice, seen: tuple[Any, ...], own: tuple[Any, ...]) -> None:
        from fer_lightning.fused.native.cnn import train_epoch

        m = models.start
        layout, velocities = self._layout, self._optimizer.tensors()
        weights = self._weights(m)
        moving = self._network.views(velocities) if velocities else []
        velocity = layout.gathered([v[m].numpy() for v in moving], self._dtype)
        places = (layout.blocks, layout.places, layout.shifts, layout.taps, layout.sizes)
        train_epoch(*seen, *places, weights, velocity, *_of_one(own))
        layout.scatter(weights, [p[m].numpy() for p in self._network.parameters])
        layout.scatter(velocity, [v[m].numpy() for v in moving])

    @staticmethod
    def pay_alone(network: nn.Module, batch_size: int, n_threads: int) -> bool:
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
        is_narrow = max(layer.out_channels for layer in layers) <= FILTERS_ALONE
        is_short = batch_size <= FACES_ALONE or n_threads <= CORES_ALONE
        return n_threads == 1 or (is_narrow and is_short)

    def logits(self, faces: SideBySide) -> Tensor:
        from fer_lightning.fused.native.cnn import logits_of

        def classify(models: slice, pixels: Any, rows: Any, _: Any, logits: Any) -> None:
            layout = self._layout
            places = layout.blocks, layout.places, layout.sizes
            logits_of(pixels, rows, *places, self._weights(models.start), logits[0])

        return self._of_parts(classify, faces)

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
    n_threads = torch.get_num_threads()
    pays_one = batch_size <= FEW_FACES or (
        n_threads == 1 or (batch_size <= _FACES_OF_ONE and n_threads <= CORES_ALONE)
    )
    if is_written_out(network.layers) and (pays_one or len(network) > 1):
        return NativePerceptrons(network, optimizer, faces, batch_size)
    return None


def has_loops(network: nn.Module, optimizer: object) -> bool:
    """Return whether there are loops for a network and the settings of its optimiser."""
    layers = network.layers
    known = isinstance(layers, nn.Sequential) and (is_cnn(layers) or is_written_out(layers))
    return known and isinstance(optimizer, SGD)


def loops_pay_on_one_core(network: nn.Module, batch_size: int, n_threads: int) -> bool:
    """Return whether loops with one core train a run about as fast as PyTorch with all cores."""
    layers = network.layers
    if isinstance(layers, nn.Sequential) and is_cnn(layers):
        return NativeCNNs.pay_alone(network, batch_size, n_threads)
    return batch_size <= FACES_ALONE or n_threads <= CORES_ALONE


def n_parts(n_groups: int, n_shared: int, n_threads: int) -> int:
    """Return into how many parts the models that see the same faces are best divided.

    Args:
        n_groups: G; every part of each is trained by one core.
        n_shared: L.
        n_threads: Cores.
    """

    def cost(n: int) -> float:
        return -(-n_groups * n // n_threads) * (-(-n_shared // n) + _OF_PART)

    return min(range(1, n_shared + 1), key=cost)


def _equal_parts(n_models: int, n: int) -> list[slice]:
    """Return n parts of models, of nearly equal size."""
    edges = [n_models * i // n for i in range(n + 1)]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def _of_one(own: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what is a model's own, of an array of one model each, for a loop of one model."""
    rates, *settings, logits = own
    return rates[:, 0], *settings, logits[0]


@cache
def _blas() -> ThreadpoolController:
    """Return what limits the threads of BLAS, also of that of SciPy, which numba uses."""
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController().select(user_api="blas")
