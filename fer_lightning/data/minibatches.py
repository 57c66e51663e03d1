"""Minibatches of faces that live on one device."""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fer_lightning.data.faces import Faces

Batch = tuple[Tensor, Tensor]


class Share(NamedTuple):
    """This process's share of every minibatch: every n_processes-th face, beginning at its rank."""

    rank: int = 0
    n_processes: int = 1


WHOLE = Share()


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """Return the order of n faces in an epoch, (n,) int64; it depends on seed and epoch alone."""
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(mixed))
    return torch.randperm(n, generator=generator)


class Minibatches:
    """An iterable of (images, labels): images (B, 1, 48, 48) uint8, labels (B,) int64.

    Args:
        faces: Where the minibatches come from, on the device where they are wanted.
        order: Positions of the faces in the order of use, (n,), on the same device.
        batch_size: Faces in a minibatch, over all processes; the last one takes the remainder.
        share: This process's share of them; of a small last minibatch, it may be empty.
    """

    def __init__(self, faces: Faces, order: Tensor, batch_size: int, share: Share = WHOLE) -> None:
        self.pixels = faces.images.flatten(1)  # rows are gathered far faster than pictures
        self.shape = faces.images.shape[1:]
        self.labels = faces.labels
        self.order = order
        self.batch_size = batch_size
        self.share = share

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def after(self, n: int) -> "Minibatches":
        """Return the minibatches after the first n."""
        left = copy.copy(self)
        left.order = self.order[n * self.batch_size :]
        return left

    @property
    def sizes(self) -> list[int]:
        """Return the number of faces in each minibatch, over all processes."""
        full, left = divmod(len(self.order), self.batch_size)
        return [self.batch_size] * full + [left] * (left > 0)

    def __iter__(self) -> Iterator[Batch]:
        for all_rows in self.order.split(self.batch_size):
            rows = all_rows[self.share.rank :: self.share.n_processes]
            images = self.pixels.index_select(0, rows).unflatten(1, self.shape)
            yield images, self.labels.index_select(0, rows)


class TrainLoader:
    """An iterable of one epoch's minibatches, reshuffled for every epoch unless it is told not to.

    Args:
        faces: Training faces on the device.
        batch_size: Faces in a minibatch, over all processes.
        seed: Seed of the order.
        minibatches_per_step: How many minibatches come at once. 1 yields plain (images, labels);
            more yield `Minibatches`, so that what a training loop does around each of its steps is
            paid for once for all of them. Of several processes, each always has `Minibatches`,
            which know how many faces a minibatch has in all.
        epoch: The epoch to begin with.
        share: See `Minibatches`.
        reshuffles: Whether every epoch has an order of its own.
    """

    def __init__(
        self,
        faces: Faces,
        batch_size: int,
        seed: int,
        minibatches_per_step: int,
        epoch: int = 0,
        share: Share = WHOLE,
        reshuffles: bool = True,
    ) -> None:
        self.faces = faces
        self.batch_size = batch_size
        self.seed = seed
        self.minibatches_per_step = minibatches_per_step
        self.epoch = epoch
        self.share = share
        self.reshuffles = reshuffles

    @property
    def sampler(self) -> "TrainLoader":
        """Return this loader, as Lightning calls `set_epoch` of a loader's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Use the order of this epoch from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.faces) // (self.batch_size * self.minibatches_per_step))

    def __iter__(self) -> Iterator[Minibatches | Batch]:
        epoch = self.epoch if self.reshuffles else 0
        order = epoch_order(len(self.faces), self.seed, epoch).to(self.faces.labels.device)
        if self.minibatches_per_step == 1 and self.share == WHOLE:
            yield from Minibatches(self.faces, order, self.batch_size)
        else:
            for part in order.split(self.batch_size * self.minibatches_per_step):
                yield Minibatches(self.faces, part, self.batch_size, self.share)


def in_order(faces: Faces, batch_size: int, share: Share = WHOLE) -> Minibatches:
    """Return minibatches of all faces, or of a process's share, in their stored order."""
    order = torch.arange(len(faces), device=faces.labels.device)
    return Minibatches(faces, order, batch_size, share)
