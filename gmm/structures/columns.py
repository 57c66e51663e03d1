"""Mixtures with different numbers of components side by side in one matrix product."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Columns:
    """Which of the M * K component slots are used, as columns (P) of a matrix.

    Mixtures with fewer than K components leave slots empty; packing takes these out, so that no
    product is spent on them.

    Attributes:
        used: Index of the used slots among the M * K, (P,), or None where all are.
        M: Number of mixtures.
        K: Slots per mixture.
    """

    used: Tensor | None
    M: int
    K: int

    @classmethod
    def of(cls, log_weights: Tensor) -> "Columns":
        """Return the columns for the slots that any data set of log_weights (G, M, K) uses."""
        used = (log_weights > -torch.inf).any(0).flatten()
        index = None if bool(used.all()) else used.nonzero().squeeze(-1)
        return cls(index, *log_weights.shape[1:])

    def pack(self, padded: Tensor, dim: int = -1) -> Tensor:
        """Pack (..., M, K, ...), with K at dim, into (..., P, ...)."""
        dim %= padded.ndim
        flat = padded.flatten(dim - 1, dim)
        return flat if self.used is None else flat.index_select(dim - 1, self.used)

    def unpack(self, packed: Tensor, dim: int = -1, fill: float = -torch.inf) -> Tensor:
        """Unpack (..., P, ...), with P at dim, into (..., M, K, ...); fill the unused slots."""
        dim %= packed.ndim
        if self.used is not None:
            shape = (*packed.shape[:dim], self.M * self.K, *packed.shape[dim + 1 :])
            packed = packed.new_full(shape, fill).index_copy_(dim, self.used, packed)
        apart: Tensor = packed.unflatten(dim, (self.M, self.K))
        return apart
