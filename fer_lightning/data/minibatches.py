"""Minibatches of faces that live on one device."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from fer_lightning.data.contrast import prepared
from fer_lightning.data.faces import Faces

Batch = tuple[Tensor, Tensor]

EVALUATION_BATCH = 512


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


def balanced_order(labels: Tensor, seed: int, epoch: int) -> Tensor:
    """Return positions of faces, (N,) int64, in which all classes are equally frequent.

    Each class's faces are drawn with replacement; the draw depends on labels, seed and epoch alone.

    Args:
        labels: Classes of the N faces, (N,).
        seed: Seed of the draw.
        epoch: The epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    _, counts = np.unique(labels.cpu().numpy(), return_counts=True)  # of the classes that are there
    classes = rng.permutation(np.arange(len(labels)) % len(counts))
    place = (rng.random(len(labels)) * counts[classes]).astype(np.int64)
    by_class = labels.cpu().argsort(stable=True)
    return by_class[torch.from_numpy(np.cumsum(counts)[classes] - 1 - place)]


class Augmentation(Protocol):
    """Random changes of training faces, as `fer_lightning.training.Augment` makes them."""

    def draw(self, n: int, seed: int, epoch: int) -> Tensor:
        """Return the random numbers of n faces in an epoch, a row each."""

    def __call__(self, images: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Return changed faces, and their labels or the probabilities of these."""


class ShareOfBatch(NamedTuple):
    """What a process has of a minibatch that several share.

    Attributes:
        images: Its faces, (B, 1, H, H); of a small last minibatch there may be none.
        labels: Their classes, (B,), or the probabilities of these, (B, 7).
        n: Number of faces in the whole minibatch.
    """

    images: Tensor
    labels: Tensor
    n: int


class Minibatches:
    """An iterable of (images, labels): images (B, 1, H, H), labels (B,) int64.

    Args:
        faces: Where the minibatches come from, on the device where they are wanted.
        order: Positions of the faces in the order of use, (n,), on the same device.
        batch_size: Faces in a minibatch, over all processes; the last one takes the remainder.
        share: This process's share of them.
        soft: Whether faces with targets give these, (B, 7), for labels.
        are_prepared: Whether the grey levels are prepared, so that they come as floats in [0, 1],
            which a classifier takes as they are; else they come as uint8.
    """

    def __init__(
        self,
        faces: Faces,
        order: Tensor,
        batch_size: int,
        share: Share = WHOLE,
        soft: bool = False,
        are_prepared: bool = False,
    ) -> None:
        self.pixels = faces.images.flatten(1)  # rows are gathered far faster than pictures
        self.shape = faces.images.shape[1:]
        self.labels = faces.targets if soft and faces.targets is not None else faces.labels
        self.order = order
        self.batch_size = batch_size
        self.share = share
        self.are_prepared = are_prepared

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for all_rows in self.order.split(self.batch_size):
            rows = all_rows[self.share.rank :: self.share.n_processes]
            images = self.pixels.index_select(0, rows).unflatten(1, self.shape)
            if self.are_prepared:
                images = prepared(images, None)
            yield images, self.labels.index_select(0, rows)


class TrainLoader:
    """An iterable of one epoch's minibatches, reshuffled for every epoch unless it is told not to.

    It yields (images, labels), or to each of several processes its `ShareOfBatch`.

    Args:
        faces: Training faces on the device.
        batch_size: Faces in a minibatch, over all processes.
        seed: Seed of the order, and of what is changed of the faces.
        epoch: The epoch to begin with.
        done: Minibatches of this epoch that are done: None is yielded in their place, which
            Lightning counts and passes over.
        share: See `Minibatches`.
        reshuffles: Whether every epoch has an order of its own.
        balanced: Whether faces are drawn so that all classes are equally frequent.
        augment: How the faces are changed at random; None leaves them as they are.
        are_prepared: See `Minibatches`.

    Attributes:
        passes: Whether the last thing yielded was such a None.
    """

    def __init__(
        self,
        faces: Faces,
        batch_size: int,
        seed: int,
        epoch: int = 0,
        done: int = 0,
        share: Share = WHOLE,
        reshuffles: bool = True,
        balanced: bool = False,
        augment: Augmentation | None = None,
        are_prepared: bool = False,
    ) -> None:
        self.faces = faces
        self.are_prepared = are_prepared
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch
        self.share = share
        self.reshuffles = reshuffles
        self.balanced = balanced
        self.augment = augment
        self.passes = False
        self._done = done

    @property
    def sampler(self) -> "TrainLoader":
        """Return this loader, as Lightning calls `set_epoch` of a loader's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Use the order of this epoch from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.faces) // self.batch_size)

    def __iter__(self) -> Iterator[Batch | ShareOfBatch | None]:
        n, done, self._done = len(self.faces), self._done, 0
        order = self._order().to(self.faces.labels.device)
        rest = order[done * self.batch_size :]
        left = Minibatches(
            self.faces, rest, self.batch_size, self.share, soft=True, are_prepared=self.are_prepared
        )
        self.passes = done > 0
        for _ in range(done):
            yield None
        self.passes = False
        batches = self._changed(left, done) if self.augment else iter(left)
        if self.share == WHOLE:
            yield from batches
            return
        for i, (images, labels) in enumerate(batches, done):
            yield ShareOfBatch(images, labels, min(self.batch_size, n - i * self.batch_size))

    def _order(self) -> Tensor:
        epoch = self.epoch if self.reshuffles else 0
        if self.balanced:
            return balanced_order(self.faces.labels, self.seed, epoch)
        return epoch_order(len(self.faces), self.seed, epoch)

    def _changed(self, batches: Minibatches, done: int) -> Iterator[Batch]:
        """Yield minibatches of this epoch with their faces changed; the first `done` are over."""
        assert self.augment is not None
        draws = self.augment.draw(len(self.faces), self.seed, self.epoch)
        draws = draws.to(self.faces.labels.device)[done * self.batch_size :]
        for (images, labels), rows in zip(batches, draws.split(self.batch_size), strict=True):
            own = rows[self.share.rank :: self.share.n_processes]
            yield self.augment(images, labels, own)

    def weight(self, batch_idx: int, n_batches: int, accumulated: int) -> float:
        """Return the weight of a minibatch among those whose gradients are taken together.

        The mean of their mean losses with these weights is the mean over all of their faces, also
        where the last ones of an epoch are fewer or smaller.

        Args:
            batch_idx: Position of the minibatch in the epoch.
            n_batches: Minibatches of an epoch.
            accumulated: Minibatches that are taken together, k; Lightning divides each loss by it.
        """
        n = min(len(self.faces), n_batches * self.batch_size)
        first = batch_idx - batch_idx % accumulated
        own = min(self.batch_size, n - batch_idx * self.batch_size)
        return accumulated * own / min(n - first * self.batch_size, accumulated * self.batch_size)


def in_order(
    faces: Faces, batch_size: int, share: Share = WHOLE, are_prepared: bool = False
) -> Minibatches:
    """Return minibatches of all faces, or of a process's share, in their stored order."""
    order = torch.arange(len(faces), device=faces.labels.device)
    return Minibatches(faces, order, batch_size, share, are_prepared=are_prepared)
