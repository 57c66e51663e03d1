"""Which features of each point are known: sums of what is, and points of one pattern together."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gmm.points.devices import bytes_of_block

# Of the bytes of a block, a number that is worked on may take so many; much more leaves the cache.
_PART = 64
_BITS = 31  # features that are packed into an integer, beside a number of as many bits


@dataclass(frozen=True, eq=False)
class Group:
    """Some patterns of about as many points each.

    Attributes:
        rows: The points of every pattern, as rows of a flattened block, (Q, n).
        valid: False where a row only pads, (Q, n).
    """

    rows: Tensor
    valid: Tensor


@dataclass(frozen=True, eq=False)
class Patterns:
    """The points of a block, sorted by their data set and by which of their features are known.

    Attributes:
        order: Rows of the flattened block, those of one pattern next to each other, (N,).
        first: Place of every pattern's first point in this order, (Q,).
        counts: Points of every pattern, (Q,).
    """

    order: Tensor
    first: Tensor
    counts: Tensor

    @classmethod
    def of(cls, observed: Tensor, valid: Tensor | None) -> "Patterns":
        """Return the patterns of the features that are observed, > 0 in (G, n, D).

        Args:
            observed: Which features are known.
            valid: False in rows (G, n) that are left out; None if there are none.
        """
        G, n, _ = observed.shape
        rows = torch.arange(G * n, device=observed.device)
        rows = rows if valid is None else rows[valid.flatten()]
        key = rows // n
        for part in (observed.flatten(0, 1)[rows] > 0).split(_BITS, -1):
            place = 2 ** torch.arange(part.shape[-1], device=part.device)
            key = key * 2**_BITS + (part * place).sum(-1)
            key = key.unique(return_inverse=True)[1]
        counts = key.bincount()
        return cls(rows[key.argsort(stable=True)], counts.cumsum(0) - counts, counts)

    def groups(self, of_pattern: int, of_row: int) -> Iterator[Group]:
        """Yield all patterns, those together that differ in size by less than a factor of two.

        How many are together is bounded by memory.

        Args:
            of_pattern: Numbers that are kept for each pattern of a group.
            of_row: Numbers that are kept for each of its points.
        """
        most = bytes_of_block(self.order.device) // _PART
        octaves = self.counts.double().log2().floor().long()
        for octave in octaves.unique().tolist():
            some = (octaves == octave).nonzero().squeeze(-1)
            longest = int(self.counts[some].max())
            position = torch.arange(longest, device=some.device)
            for chosen in some.split(max(1, most // (of_pattern + longest * of_row))):
                valid = position < self.counts[chosen].unsqueeze(-1)
                place = self.first[chosen].unsqueeze(-1) + position
                yield Group(self.order[place.clamp_max(len(self.order) - 1)], valid)


def sum_of_observed(
    x: Tensor, weights: Tensor | None = None, offset: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum of the values that are not NaN, how often they count, and how many are NaN.

    Args:
        x: Points, (n, D).
        weights: How often each counts, (n,); once by default.
        offset: Number of the first point.

    Returns:
        The sum and the count of every feature, (D,) in float64, and the number of NaN, ().

    Raises:
        ValueError: If a value is infinite; it names the first such row, plus offset.
    """
    if x.isinf().any():
        row = int(x.isinf().any(-1).nonzero()[0]) + offset
        raise ValueError(
            f"X must be finite or NaN, got infinity in row {row}: Input X contains infinity"
        )
    known = ~x.isnan()
    n_missing = x.numel() - known.sum()
    if weights is None:
        return x.nansum(0, dtype=torch.float64), known.sum(0).double(), n_missing
    own = weights.to(x.device, torch.float64)
    return own @ x.double().nan_to_num(0), own @ known.double(), n_missing
