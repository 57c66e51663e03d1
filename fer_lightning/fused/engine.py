"""The training of many models as one: their epochs, and the figures of these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fer_lightning.data import EVALUATION_BATCH, SIZE, Faces, FaceSplits, epoch_order
from fer_lightning.fused.gradients import Shares, gradients
from fer_lightning.fused.optimizers import stacked
from fer_lightning.fused.stacking import StackedNetwork, cross_entropies
from fer_lightning.training import ExpressionClassifier, OptimizerSettings

# Takes a step: from pixels of each order, rows (G, B) and labels (M, B) to logits (M, B, 7).
Step = Callable[[Sequence[Tensor], Tensor, Tensor], Tensor]


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

    network: ExpressionClassifier
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


class SideBySide:
    """Faces of G orders side by side, the shorter orders padded with their first face.

    Attributes:
        pixels: Grey levels of each order, (N_g, 2304) uint8.
        rows: Rows of the faces in `pixels`, (G, T).
        labels: Classes of the faces, (G, T).
        valid: False where a face is padding, (G, T).
        lengths: Number of faces of each order.
    """

    def __init__(self, faces: Sequence[Faces], orders: Sequence[Tensor]) -> None:
        self.pixels = [f.images.flatten(1) for f in faces]
        self.lengths = [len(order) for order in orders]
        self.rows = pad_sequence(list(orders), batch_first=True)
        parts = zip(faces, self.rows, strict=True)
        self.labels = torch.stack([f.labels.index_select(0, rows) for f, rows in parts])
        position = torch.arange(self.rows.shape[1], device=self.rows.device)
        self.valid = position < torch.tensor(self.lengths, device=position.device).unsqueeze(1)

    def starts(self, size: int) -> range:
        """Return the positions at which minibatches of a size begin."""
        return range(0, self.rows.shape[1], size)

    def n_valid(self, start: int, size: int) -> list[int]:
        """Return how many faces each order has between start and start + size."""
        return [min(max(length - start, 0), size) for length in self.lengths]


def gathered(pixels: Sequence[Tensor], rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Return faces in [0, 1], (G, B, 1, 48, 48), at the rows (G, B) of each order's pixels."""
    each = [p.index_select(0, r) for p, r in zip(pixels, rows.unbind(), strict=True)]
    grey = torch.stack(each) if len(each) > 1 else each[0].unsqueeze(0)
    return grey.to(dtype).div_(255).view(*rows.shape, 1, SIZE, SIZE)


class FusedTraining:
    """M models that are trained as one.

    Models that see the same minibatches read them once, if they are adjacent in `members` and every
    order of minibatches has equally many models; otherwise every model reads its own.

    Args:
        members: With networks of one shape and optimisers of one class.
        batch_size: Faces per minibatch.

    Attributes:
        compiled: The compiled step for minibatches of full size, or None.
    """

    def __init__(self, members: Sequence[Member], batch_size: int) -> None:
        self.batch_size = batch_size
        runs = [len(list(run)) for _, run in groupby(members, key=lambda member: member.order)]
        self.n_shared = runs[0] if len(set(runs)) == 1 else 1
        self.orders = members[:: self.n_shared]
        self.network = StackedNetwork([member.network for member in members], self.n_shared)
        self.optimizer = stacked([m.optimizer for m in members], self.network.parameters)
        self.compiled: Step | None = None

    def train_epoch(self, epoch: int) -> Means:
        """Train for an epoch, counted from 0; its means are taken while the weights change."""
        faces = self.training_faces(epoch)
        outputs = [self.step(faces, start) for start in faces.starts(self.batch_size)]
        return self._means(outputs, faces)

    @torch.no_grad()
    def step(self, faces: SideBySide, start: int) -> Tensor:
        """Train on the minibatches that begin at `start`, and return their logits, (M, B, 7)."""
        here = slice(start, start + self.batch_size)
        n_valid = faces.n_valid(start, self.batch_size)
        labels = self._of_models(faces.labels[:, here])
        if self.compiled and min(n_valid) == self.batch_size:
            return self.compiled(faces.pixels, faces.rows[:, here], labels)
        return self._plain_step(faces, here, labels, n_valid)

    def tensors(self) -> list[Tensor]:
        """Return all tensors that a step changes: weights and optimiser state, (M, ...) each."""
        state = (t for tensors in self.optimizer.state.values() for t in tensors)
        return [*self.network.parameters, *state]

    def training_faces(self, epoch: int) -> SideBySide:
        """Return the training faces in the order of an epoch."""
        device = self.network.parameters[0].device
        faces = [member.splits.train for member in self.orders]
        orders = [
            epoch_order(len(f), m.seed, epoch) for f, m in zip(faces, self.orders, strict=True)
        ]
        return SideBySide(faces, [order.to(device) for order in orders])

    @torch.no_grad()
    def validate(self) -> Means:
        """Return the means of all models on their validation faces."""
        parameters = self.network.parameters
        each = [member.splits.val for member in self.orders]
        faces = SideBySide(each, [torch.arange(len(f), device=f.labels.device) for f in each])
        outputs = []
        for start in faces.starts(EVALUATION_BATCH):
            rows = faces.rows[:, start : start + EVALUATION_BATCH]
            images = gathered(faces.pixels, rows, parameters[0].dtype)
            outputs.append(self.network(parameters, images))
        return self._means(outputs, faces)

    def _of_models(self, per_order: Tensor) -> Tensor:
        """Repeat values of each order, (G, ...), for the models that share it: (M, ...)."""
        return per_order if self.n_shared == 1 else per_order.repeat_interleave(self.n_shared, 0)

    def _plain_step(
        self, faces: SideBySide, here: slice, labels: Tensor, n_valid: list[int]
    ) -> Tensor:
        """Take a step, not compiled, with every model that has faces left; return the logits."""
        dtype = self.network.parameters[0].dtype
        images = gathered(faces.pixels, faces.rows[:, here], dtype)
        shares: Shares = 1 / labels.shape[1]
        if min(n_valid) < labels.shape[1]:
            valid = self._of_models(faces.valid[:, here]).to(dtype)
            shares = valid / valid.sum(1, keepdim=True).clamp_min(1)
        found, logits = gradients(self.network, images, labels, shares)
        idle = [m for m in range(len(self.network)) if n_valid[m // self.n_shared] == 0]
        self._update(found, idle)
        return logits

    def _update(self, gradients: list[Tensor], idle: list[int]) -> None:
        """Take the optimiser step, leaving weights and state of the idle models unchanged."""
        tensors = self.tensors()
        kept = [t[idle] for t in tensors] if idle else []
        self.optimizer.step(self.network.parameters, gradients)
        for t, values in zip(tensors, kept, strict=False):
            t[idle] = values

    def _means(self, outputs: Sequence[Tensor], faces: SideBySide) -> Means:
        """Return the means of each model from the logits of all minibatches, (M, B, 7) each."""
        logits, labels, valid = (
            torch.cat(list(outputs), 1),
            self._of_models(faces.labels),
            self._of_models(faces.valid),
        )
        counts = valid.sum(1)
        ce = (cross_entropies(logits, labels) * valid).sum(1) / counts
        acc = ((logits.argmax(-1) == labels) & valid).sum(1).to(ce.dtype) / counts
        return Means(ce.cpu(), acc.cpu())
