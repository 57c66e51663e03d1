"""The training of many models as one: their epochs, and the figures of these."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.datamodule import EVALUATION_BATCH
from fer_lightning.data.faces import SIZE, Faces, FaceSplits
from fer_lightning.data.minibatches import epoch_order
from fer_lightning.fused.optimizers import stacked
from fer_lightning.fused.stacking import StackedNetwork, cross_entropies
from fer_lightning.optimizers import OptimizerSettings


@dataclass(frozen=True)
class Member:
    """One of the models that are trained together.

    Attributes:
        network: With its initial weights, on the device and in the precision of the training.
        optimizer: How it is trained.
        splits: Its faces, on that device. Members that hold the same object and have the same seed
            see the same minibatches.
        seed: Of the order of its minibatches.
    """

    network: ExpressionClassifier
    optimizer: OptimizerSettings
    splits: FaceSplits
    seed: int

    @property
    def order(self) -> tuple[int, int]:
        """What decides its minibatches."""
        return id(self.splits), self.seed


@dataclass(frozen=True)
class Means:
    """Mean cross-entropy (nats) and accuracy (in [0, 1]) of each model, (M,) each, on the CPU."""

    ce: Tensor
    acc: Tensor


@dataclass(frozen=True)
class _Minibatch:
    """Minibatches of G orders side by side.

    Attributes:
        images: In [0, 1], (G, B, 1, 48, 48).
        labels: (G, B).
        sizes: How many of the B faces belong to each order's minibatch; the others only pad.
    """

    images: Tensor
    labels: Tensor
    sizes: list[int]

    @property
    def is_full(self) -> bool:
        return min(self.sizes) == self.labels.shape[1]

    def mask(self) -> Tensor:
        """True where a face belongs to the minibatch, (G, B)."""
        device = self.labels.device
        sizes = torch.tensor(self.sizes, device=device).unsqueeze(1)
        return torch.arange(self.labels.shape[1], device=device) < sizes


class FusedTraining:
    """M models that are trained as one.

    Minibatches are read once for all models that see the same. For that, those models stand side
    by side, and each order of minibatches has as many; otherwise every model reads its own.

    Args:
        members: With networks of one shape and optimisers of one class.
        batch_size: Faces a minibatch.
    """

    def __init__(self, members: Sequence[Member], batch_size: int) -> None:
        self.batch_size = batch_size
        runs = [len(list(run)) for _, run in groupby(members, key=lambda member: member.order)]
        self.n_shared = runs[0] if len(set(runs)) == 1 else 1
        self.orders = members[:: self.n_shared]
        self.network = StackedNetwork([member.network for member in members], self.n_shared)
        self.optimizer = stacked([m.optimizer for m in members], self.network.parameters)

    def train_epoch(self, epoch: int) -> Means:
        """Take all steps of an epoch, counted from 0; means are taken while the weights move."""
        device = self.network.parameters[0].device
        faces = [member.splits.train for member in self.orders]
        orders = [
            epoch_order(len(f), m.seed, epoch) for f, m in zip(faces, self.orders, strict=True)
        ]
        rows = [order.to(device) for order in orders]
        minibatches = self._minibatches(faces, rows, self.batch_size)
        return self._means((self._step(batch), batch) for batch in minibatches)

    @torch.no_grad()
    def validate(self) -> Means:
        """Figures of all models on their validation faces."""
        device = self.network.parameters[0].device
        faces = [member.splits.val for member in self.orders]
        rows = [torch.arange(len(f), device=device) for f in faces]
        minibatches = self._minibatches(faces, rows, EVALUATION_BATCH)
        parameters = self.network.parameters
        return self._means((self.network(parameters, batch.images), batch) for batch in minibatches)

    def _minibatches(
        self, faces: Sequence[Faces], rows: Sequence[Tensor], size: int
    ) -> Iterator[_Minibatch]:
        dtype = self.network.parameters[0].dtype
        pixels = [f.images.flatten(1) for f in faces]
        for start in range(0, max(map(len, rows)), size):
            parts = [r[start : start + size] for r in rows]
            sizes = [len(part) for part in parts]
            longest = max(sizes)
            parts = [
                part if len(part) == longest else torch.cat([part, r[: longest - len(part)]])
                for part, r in zip(parts, rows, strict=True)
            ]
            grey = [p.index_select(0, part) for p, part in zip(pixels, parts, strict=True)]
            labels = [f.labels.index_select(0, r) for f, r in zip(faces, parts, strict=True)]
            images = torch.stack(grey).to(dtype).div_(255).unflatten(2, (1, SIZE, SIZE))
            yield _Minibatch(images, torch.stack(labels), sizes)

    def _step(self, batch: _Minibatch) -> Tensor:
        """Take an optimiser step with every model that has faces in the minibatch; logits."""
        parameters = [p.requires_grad_() for p in self.network.parameters]
        logits = self.network(parameters, batch.images)
        losses = cross_entropies(logits, self._of_models(batch.labels))
        if batch.is_full:
            loss = losses.sum() / batch.labels.shape[1]
        else:
            mask = self._of_models(batch.mask())
            loss = (losses * mask / mask.sum(1, keepdim=True).clamp_min(1)).sum()
        gradients = torch.autograd.grad(loss, parameters)
        for p in parameters:
            p.requires_grad_(False)
        self._update(gradients, [m for m in range(len(self.network)) if self._is_idle(batch, m)])
        return logits.detach()

    def _is_idle(self, batch: _Minibatch, m: int) -> bool:
        return batch.sizes[m // self.n_shared] == 0

    def _update(self, gradients: Sequence[Tensor], idle: list[int]) -> None:
        """Move all weights but those of the idle models."""
        parameters = self.network.parameters
        tensors = [*parameters, *(t for state in self.optimizer.state.values() for t in state)]
        kept = [t[idle] for t in tensors] if idle else []
        self.optimizer.step(parameters, gradients)
        for t, values in zip(tensors, kept, strict=False):
            t[idle] = values

    def _of_models(self, per_order: Tensor) -> Tensor:
        """From (G, ...) to (M, ...)."""
        return per_order.repeat_interleave(self.n_shared, 0)

    def _means(self, outputs: Iterator[tuple[Tensor, _Minibatch]]) -> Means:
        parts = [(z, self._of_models(b.labels), self._of_models(b.mask())) for z, b in outputs]
        logits, labels, valid = (torch.cat(part, 1) for part in zip(*parts, strict=True))
        counts = valid.sum(1)
        ce = (cross_entropies(logits, labels) * valid).sum(1) / counts
        acc = ((logits.argmax(-1) == labels) & valid).sum(1).to(ce.dtype) / counts
        return Means(ce.cpu(), acc.cpu())
