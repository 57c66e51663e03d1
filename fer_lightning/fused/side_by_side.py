"""Minibatches of many orders of faces side by side, at addresses that stay the same."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fer_lightning.data import Faces


class SideBySide:
    """Faces of G orders side by side, the shorter orders padded with the first face of all.

    The tensors keep their addresses when the order changes, as CUDA graphs need it.

    Args:
        faces: The faces of each order; orders may have the same.
        n_shared: Number of models that see each order, L; M = G * L.

    Attributes:
        pixels: Grey levels of all different faces, (N, H * H) uint8.
        rows: Rows of the faces in `pixels`, (G, T).
        labels: Classes of the faces under each model, (M, T).
        valid: False where a face is padding, (M, T).
        lengths: Number of faces of each order.
    """

    def __init__(self, faces: Sequence[Faces], n_shared: int) -> None:
        self._n_shared = n_shared
        self.lengths = [len(f) for f in faces]
        different = {id(f): f for f in faces}
        sizes = [len(f) for f in different.values()]
        begins = dict(zip(different, accumulate(sizes, initial=0), strict=False))
        self._begins = [begins[id(f)] for f in faces]
        pixels = [f.images.flatten(1) for f in different.values()]
        labels = [f.labels for f in different.values()]
        self.pixels = torch.cat(pixels) if len(pixels) > 1 else pixels[0]
        self._labels = torch.cat(labels) if len(labels) > 1 else labels[0]
        device = self._labels.device
        self.rows = torch.zeros(len(faces), max(self.lengths), dtype=torch.int64, device=device)
        self.labels = self._of_models(torch.zeros_like(self.rows))
        position = torch.arange(self.rows.shape[1])
        valid = position < torch.tensor(self.lengths).unsqueeze(1)
        self.valid = self._of_models(valid.to(device))

    def arrange(self, orders: Sequence[Tensor]) -> None:
        """Put the faces into new orders, each the rows of its faces, (N_g,) on the CPU."""
        begun = [order + begin for order, begin in zip(orders, self._begins, strict=True)]
        rows = pad_sequence(begun, batch_first=True)
        if self.rows.is_cuda:
            rows = rows.pin_memory()
        self.rows.copy_(rows, non_blocking=True)
        labels = self._labels.index_select(0, self.rows.flatten()).view_as(self.rows)
        self.labels.copy_(self._of_models(labels))

    def minibatches(self, size: int) -> list["Minibatch"]:
        """Return the minibatches of a size in turn; the last may be smaller."""
        return [self._minibatch(start, size) for start in range(0, self.rows.shape[1], size)]

    def part(self, start: int, stop: int) -> "SideBySide":
        """Return copies of the places from start up to stop, at addresses of their own."""
        own = copy.copy(self)
        own.rows, own.labels, own.valid = (
            t[:, start:stop].clone() for t in (self.rows, self.labels, self.valid)
        )
        own.lengths = self.lengths_between(start, stop)
        return own

    def lengths_between(self, start: int, stop: int) -> list[int]:
        """Return how many faces each order has from start up to stop."""
        return [min(max(length - start, 0), stop - start) for length in self.lengths]

    def fill(self, other: "SideBySide", start: int) -> None:
        """Take over the rows and labels of another from a place on."""
        here = slice(start, start + self.rows.shape[1])
        self.rows.copy_(other.rows[:, here])
        self.labels.copy_(other.labels[:, here])

    def _minibatch(self, start: int, size: int) -> "Minibatch":
        n_valid = self.lengths_between(start, start + size)
        here = slice(start, start + max(n_valid))
        rest = [m for m in range(len(self.labels)) if n_valid[m // self._n_shared] == 0]
        idle = torch.tensor(rest, device=self.rows.device) if rest else None
        rows, labels, valid = (t[:, here] for t in (self.rows, self.labels, self.valid))
        return Minibatch(self.pixels, rows, labels, valid, idle, min(n_valid) == max(n_valid))

    def _of_models(self, per_order: Tensor) -> Tensor:
        """Repeat values of each order, (G, ...), for the models that share it: (M, ...)."""
        n = self._n_shared
        return per_order if n == 1 else per_order.repeat_interleave(n, 0)


@dataclass(frozen=True)
class Minibatch:
    """A minibatch of every model.

    Attributes:
        pixels: As in `SideBySide`.
        rows: Rows of the faces in `pixels`, (G, B).
        labels: (M, B).
        valid: False where a face is padding, (M, B).
        idle: The models that have no faces here, or None where all have some.
        is_full: Whether no face is padding.
    """

    pixels: Tensor
    rows: Tensor
    labels: Tensor
    valid: Tensor
    idle: Tensor | None
    is_full: bool


def gathered(pixels: Tensor, rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Return faces in [0, 1], (G, B, 1, H, H), at rows (G, B) of the pixels, (N, H * H) uint8."""
    grey = pixels.index_select(0, rows.flatten())
    side = math.isqrt(pixels.shape[1])
    return grey.to(dtype).div_(255).view(*rows.shape, 1, side, side)
