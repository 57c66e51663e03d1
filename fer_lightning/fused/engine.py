"""The training of many models as one: their epochs, and the figures of these."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from fer_lightning.data import EVALUATION_BATCH, FaceSplits, epoch_order
from fer_lightning.fused.gradients import Shares, gradients
from fer_lightning.fused.graphs import Bundles, Graph
from fer_lightning.fused.native.epochs import native_epochs
from fer_lightning.fused.optimizers import stacked
from fer_lightning.fused.side_by_side import Minibatch, SideBySide, gathered
from fer_lightning.fused.stacking import Network, StackedNetwork, cross_entropies
from fer_lightning.training import OptimizerSettings

# Takes a step: from pixels (N, H * H), rows (G, B) and labels (M, B) to logits (M, B, 7).
Step = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Member:
    """One of the models that are trained together.

    Attributes:
        network: With its initial weights, on the device and in the precision of the training.
        optimizer: How it is trained.
        splits: Its faces, on that device. Members that hold the same object and have the same seed
            see the same minibatches.
        seed: Seed of the order of its minibatches.
    """

    network: Network
    optimizer: OptimizerSettings
    splits: FaceSplits
    seed: int

    @property
    def order(self) -> tuple[int, int]:
        """Return a key that is the same for members that see the same minibatches."""
        return id(self.splits), self.seed


@dataclass(frozen=True)
class Means:
    """Mean cross-entropy (nats) and accuracy (in [0, 1]) of each model, (M,) each, on the CPU."""

    ce: Tensor
    acc: Tensor

    @classmethod
    def of(cls, both: Tensor) -> "Means":
        """Return the means from both in one tensor, (2, M), when the device has them."""
        return cls(*both.cpu())


def sharing(members: Sequence[Member]) -> int:
    """Return how many models share each order of minibatches, or 1 where the numbers differ."""
    runs = {len(list(run)) for _, run in groupby(members, key=lambda member: member.order)}
    return runs.pop() if len(runs) == 1 else 1


class FusedTraining:
    """M models that are trained as one.

    Models that see the same minibatches read them once, if they are adjacent in `members` and every
    order of minibatches has equally many models; otherwise every model reads its own.

    Args:
        members: With networks of one shape and optimisers of one class.
        batch_size: Faces per minibatch.

    Attributes:
        compiled: The compiled step for minibatches of full size, or None.
        use_graphs: Whether many steps are launched as one CUDA graph; on a GPU only.
        bundles: These graphs.
        train: The training faces in the order of an epoch.
        val: The validation faces.
        native: What trains epochs by compiled loops on a CPU, or None.
    """

    def __init__(self, members: Sequence[Member], batch_size: int) -> None:
        self.batch_size = batch_size
        self.members, self.n_shared = members, sharing(members)
        self.orders = members[:: self.n_shared]
        self.network = StackedNetwork([member.network for member in members], self.n_shared)
        self.optimizer = stacked([m.optimizer for m in members], self.network)
        self.compiled: Step | None = None
        self.use_graphs = False
        self.bundles = Bundles(self.step, self.changing)
        self._validation: Graph | None = None
        self.train = SideBySide([member.splits.train for member in self.orders], self.n_shared)
        self.val = self._in_order("val")
        self._minibatches = self.train.minibatches(batch_size)
        self.native = native_epochs(self.network, self.optimizer, self.train, batch_size)

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of the weights."""
        return self.network.chunks[0].dtype

    @property
    def in_graphs(self) -> bool:
        """Return whether steps are launched as CUDA graphs."""
        return self.use_graphs and self.train.rows.is_cuda

    def use(self, compiled: Step | None) -> None:
        """Take the steps on full minibatches by a compiled function from now on, or by none."""
        self.compiled = compiled
        self.bundles.forget()

    def train_epoch(self, epoch: int) -> Means:
        """Train for an epoch, counted from 0; its means are taken while the weights change."""
        with self.side_by_side():
            return Means.of(_means(self.train_steps(epoch), self.train))

    def train_steps(self, epoch: int) -> list[Tensor]:
        """Train for an epoch without waiting for the device; return all logits, (M, B, 7) each."""
        self.arrange(epoch)
        if self.native is not None:
            return [self.native()]
        if self.in_graphs:
            return self.bundles(self.train, self.batch_size)
        return [self.step(minibatch) for minibatch in self._minibatches]

    def arrange(self, epoch: int) -> None:
        """Put the training faces into the order of an epoch."""
        lengths = zip(self.train.lengths, self.orders, strict=True)
        self.train.arrange([epoch_order(n, member.seed, epoch) for n, member in lengths])

    @torch.no_grad()
    def step(self, batch: Minibatch) -> Tensor:
        """Train on a minibatch, and return its logits, (M, B, 7)."""
        if self.compiled and batch.is_full and batch.rows.shape[1] == self.batch_size:
            return self.compiled(batch.pixels, batch.rows, batch.labels)
        return self._plain_step(batch)

    def tensors(self) -> list[Tensor]:
        """Return all tensors that a step changes: weights and optimiser state, (M, ...) each."""
        return [*self.network.chunks, *self.optimizer.tensors()]

    def changing(self) -> list[Tensor]:
        """Return all that a step changes: `tensors`, and where the learning rates are found."""
        return [*self.tensors(), self.optimizer.at]

    def validate(self) -> Means:
        """Return the means of all models on their validation faces."""
        if self.in_graphs:
            if self._validation is None:
                self._validate()
                self._validation = Graph(self._validate)
            return Means.of(self._validation())
        with self.side_by_side():
            return Means.of(self._validate())

    def means_on(self, split: str) -> Means:
        """Return the means of all models on all faces of a split."""
        faces = self._in_order(split)
        with self.side_by_side():
            return Means.of(_means(self._logits(faces), faces))

    def side_by_side(self) -> AbstractContextManager[object]:
        """Leave the cores to the compiled loops within, if those train: see `NativeEpochs`."""
        return self.native.side_by_side() if self.native is not None else nullcontext()

    def _in_order(self, split: str) -> SideBySide:
        faces = [getattr(member.splits, split) for member in self.orders]
        arranged = SideBySide(faces, self.n_shared)
        arranged.arrange([torch.arange(n) for n in arranged.lengths])
        return arranged

    def _validate(self) -> Tensor:
        return _means(self._logits(self.val), self.val)

    @torch.no_grad()
    def _logits(self, faces: SideBySide) -> list[Tensor]:
        """Return the logits of all models, (M, B, 7) of each minibatch."""
        if self.native is not None:
            return [self.native.logits(faces)]
        parameters = self.network.parameters
        outputs = []
        for batch in faces.minibatches(EVALUATION_BATCH):
            images = gathered(batch.pixels, batch.rows, parameters[0].dtype)
            outputs.append(self.network(parameters, images))
        return outputs

    def _plain_step(self, batch: Minibatch) -> Tensor:
        """Take a step, not compiled, with every model that has faces left; return the logits."""
        dtype = self.network.parameters[0].dtype
        images = gathered(batch.pixels, batch.rows, dtype)
        shares: Shares = 1 / batch.labels.shape[1]
        if not batch.is_full:
            valid = batch.valid.to(dtype)
            shares = valid / valid.sum(1, keepdim=True).clamp_min(1)
        found, logits = gradients(self.network, images, batch.labels, shares)
        self._update(found, batch.idle)
        return logits

    def _update(self, gradients: list[Tensor], idle: Tensor | None) -> None:
        """Take the optimiser step, leaving weights and state of the idle models unchanged."""
        tensors = self.tensors() if idle is not None else []
        kept = [t[idle] for t in tensors]
        self.optimizer.step(self.network.chunks, self.network.chunked(gradients))
        for t, values in zip(tensors, kept, strict=True):
            t[idle] = values


def _means(outputs: Sequence[Tensor], faces: SideBySide) -> Tensor:
    """Return cross-entropy and accuracy of each model, (2, M), on its device.

    Args:
        outputs: The logits of all minibatches, (M, B, 7) each.
        faces: The faces.
    """
    logits = torch.cat(list(outputs), 1) if len(outputs) > 1 else outputs[0]
    counts = faces.valid.sum(1)
    ce = (cross_entropies(logits, faces.labels) * faces.valid).sum(1) / counts
    right = (logits.argmax(-1) == faces.labels) & faces.valid
    return torch.stack((ce, right.sum(1).to(ce.dtype) / counts))
