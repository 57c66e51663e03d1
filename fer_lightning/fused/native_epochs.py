"""Epochs of many perceptrons by compiled loops, a model on each core, where these are faster."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from fer_lightning.fused.gradients import is_written_out
from fer_lightning.fused.optimizers import StackedOptimizer, StackedSGD
from fer_lightning.fused.side_by_side import SideBySide
from fer_lightning.fused.stacking import StackedNetwork

# Faces of a step up to which these loops are faster than products of matrices.
FEW_FACES = 16


class NativeEpochs:
    """Trains M models for an epoch at a time.

    Args:
        network: The models, on the CPU, with nothing but linear layers and ReLU.
        optimizer: Theirs.
        faces: The training faces, in the order of the epoch when it is trained.
        batch_size: Faces of a step.
    """

    def __init__(
        self, network: StackedNetwork, optimizer: StackedSGD, faces: SideBySide, batch_size: int
    ) -> None:
        self._network, self._optimizer, self._faces = network, optimizer, faces
        self._batch_size = batch_size
        linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
        self._widths = np.array([linear[0].in_features, *(layer.out_features for layer in linear)])

    def __call__(self) -> Tensor:
        """Train for an epoch; return the logits of every face in its step, (M, T, 7)."""
        from fer_lightning.fused.native import train_epoch  # numba takes half a second to import

        network, faces = self._network, self._faces
        chunks = [chunk.numpy() for chunk in network.chunks]
        velocities = [v.numpy() for v in self._optimizer.tensors()]
        dtype, M = chunks[0].dtype, len(network)
        first, rest = np.empty((0, 0), dtype), np.empty(0, dtype)
        logits = torch.zeros(
            M, faces.rows.shape[1], int(self._widths[-1]), dtype=network.chunks[0].dtype
        )
        rows, labels, out = faces.rows.numpy(), faces.labels.numpy(), logits.numpy()
        pixels = faces.pixels.numpy()
        n_steps = -(-faces.rows.shape[1] // self._batch_size)
        rates = self._optimizer.rates_of_epoch(n_steps).numpy()

        def train(m: int) -> None:
            n = faces.lengths[m // network.n_shared]
            settings = self._optimizer.settings[m]
            names = ("momentum", "weight_decay", "nesterov")
            of_model = [np.array([getattr(settings, name)], dtype) for name in names]
            moving = [v[m] for v in velocities] or [first, rest]
            train_epoch(
                *(pixels, rows[m // network.n_shared, :n], labels[m, :n], self._batch_size),
                *(self._widths, chunks[0][m], chunks[1][m], *moving),
                *(np.ascontiguousarray(rates[:, m]), *of_model, out[m, :n]),
            )

        n_threads = min(torch.get_num_threads(), M)
        if n_threads == 1:
            for m in range(M):
                train(m)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(train, range(M)))
        return logits


def native_epochs(
    network: StackedNetwork, optimizer: StackedOptimizer, faces: SideBySide, batch_size: int
) -> NativeEpochs | None:
    """Return what trains the models by compiled loops, or None where it cannot or is slower."""
    is_here = network.chunks[0].is_cpu and batch_size <= FEW_FACES
    if is_here and is_written_out(network.layers) and isinstance(optimizer, StackedSGD):
        return NativeEpochs(network, optimizer, faces, batch_size)
    return None
