"""Data sets as a stream of centred, padded and masked blocks that fit in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gmm.points.devices import bytes_of_block, float64_is_fast, free_bytes, usable_device
from gmm.points.distributed import Alone
from gmm.points.patterns import Patterns, sum_of_observed

Batches = Iterable[Any]

_WIDE = 256
_AT_ONCE = 16384  # rows that are copied to float64


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of some data sets.

    Attributes:
        sets: Which data sets, a slice of G of them.
        start: Position of the first row in its data set, of all processes.
        x: Centred points, (G, n, D); zeros where values are missing.
        valid: False where a row only pads, (G, n), or None where none does.
        weights: How often a row counts, (G, n) in float64, or None where all count once.
        observed: 1 where a value is known and 0 where it is missing, (G, n, D) in the dtype of x;
            None if the data sets have all values.
    """

    sets: slice
    start: int
    x: Tensor
    valid: Tensor | None
    weights: Tensor | None = None
    observed: Tensor | None = None

    @cached_property
    def squares(self) -> Tensor:
        return self.x.square()

    @cached_property
    def lengths(self) -> Tensor:
        """Return the squared length of every point, (G, n), in float64."""
        return self.squares.sum(-1, dtype=torch.float64)

    def kept(self, name: str, make: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what is made of the points, which is kept under a name as long as they are."""
        if name not in vars(self):
            vars(self)[name] = make(self.x)
        made: Tensor = vars(self)[name]
        return made

    @cached_property
    def scatter(self) -> Tensor:
        """Return the sum of the points' outer products, (G, D, D)."""
        return self.weigh(self.x).mT @ self.x

    @cached_property
    def patterns(self) -> Patterns:
        """Return the points sorted by which of their features are known."""
        assert self.observed is not None
        return Patterns.of(self.observed, self.valid)

    def mask(self, per_row: Tensor) -> Tensor:
        """Return per_row (G, n, ...) with zeros in the rows that are padding."""
        if self.valid is None:
            return per_row
        valid = self.valid.view(*self.valid.shape, *[1] * (per_row.ndim - 2))
        return per_row.masked_fill(~valid, 0)

    def weigh(self, per_row: Tensor) -> Tensor:
        """Return per_row (G, n, ...) times the weights of the rows; zeros in those that pad."""
        masked = self.mask(per_row)
        if self.weights is None:
            return masked
        shape = (*self.weights.shape, *[1] * (per_row.ndim - 2))
        return masked * self.weights.view(shape).to(per_row.dtype)


class Points:
    """G data sets of their own sizes, read in blocks of at most `chunk_size` rows.

    A data set is a tensor (N, D), or there is one only and it is an iterable of batches (n, D)
    that can be read again and again. Everything is relative to `center`, so that squares keep
    their digits.

    Args:
        data: A list of G tensors, or an iterable of batches.
        device: Where blocks are wanted; where the data are by default.
        dtype: Of the results; that of the data by default (float32 for integers).
        chunk_size: Rows of a block; as many as 64 MiB hold by default (on a GPU, a sixteenth of its
            free memory).
        center: What to subtract, (G, D); the mean of each data set by default.
        row_numbers: From D, how many numbers are kept per row while it is worked on.
        wide: True where float32 points of many features may be worked on in float32.
        others: The processes that hold more rows of a single data set; the sizes and the centre
            are then those of all.
        weights: How often each point counts, G tensors (N,), above 0; all count once by default.
        missing: Whether NaN stands for a value that is missing. Centre and moments are then those
            of the values that are known, and blocks and arrays have the centre in its place.

    Attributes:
        sizes: Number of points of each data set, or the sum of their weights, (G,).
        observed: The same of the values of every feature that are known, (G, D).
        has_missing: Whether a value is missing.
        keeps: Whether blocks are kept from one reading of the points to the next.

    Raises:
        ValueError: If a value is NaN or infinite, or the shapes do not agree; where values may be
            missing, if one is infinite, or if they have no centre and no point of a data set has
            a value of a feature.
    """

    def __init__(
        self,
        data: Sequence[Tensor] | Batches,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        chunk_size: int | None = None,
        center: Tensor | None = None,
        row_numbers: Callable[[int], int] | None = None,
        wide: bool = True,
        others: Alone | None = None,
        weights: Sequence[Tensor] | None = None,
        missing: bool = False,
    ) -> None:
        self._data = data
        self._weights = weights
        self._others = others or Alone()
        first = as_points(next(iter(data), torch.empty(0)))
        if first.ndim != 2:
            raise ValueError(f"data must be (N, D) points, got shape {tuple(first.shape)}")
        self.device = usable_device(device or first.device)
        floating = first.dtype if first.dtype.is_floating_point else torch.get_default_dtype()
        self.dtype = dtype or floating
        self.n_features = D = first.shape[-1]
        sums, known, sizes, n_missing = self._survey(missing)
        self.has_missing = missing and bool(self.total(n_missing) > 0)
        # Few features cost little, and the digits that float32 would lose matter there as much.
        lossless = self.dtype == torch.float64 or D < _WIDE or not wide or self.has_missing
        exact = lossless or float64_is_fast(self.device)
        self.work_dtype = torch.float64 if exact else torch.float32
        n_numbers = (row_numbers(D) if row_numbers else 2 * D) + 2 * D * self.has_missing
        self._row_bytes = n_numbers * self.work_dtype.itemsize
        if chunk_size is None:
            chunk_size = max(1, bytes_of_block(self.device) // self._row_bytes)
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
        self.chunk_size = chunk_size
        self._own_sizes = torch.tensor(sizes, dtype=torch.float64, device=self.device)
        self.n_points = self.total(self._own_sizes)
        self.sizes = self.n_points
        if weights is not None:
            self.sizes = torch.stack([w.sum(dtype=torch.float64) for w in weights]).to(self.device)
        self.observed = self.sizes.unsqueeze(-1).expand(-1, D)
        if self.has_missing:
            self.observed = self.total(known)
        self._start = self._others.before(sizes[0], self.device)
        if center is None:
            _check_observed(self.observed)
            center = self.total(sums) / self.observed
        self.center = center.to(self.device, self.work_dtype)
        self._kept: list[Block] = []
        self._plan = self._pack(sizes)
        self.keeps = self.in_memory and self._fit()

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def in_memory(self) -> bool:
        """Return whether the points are tensors rather than an iterable of batches."""
        return isinstance(self._data, Sequence)

    @property
    def has_arrays(self) -> bool:
        """Return whether `arrays` yields the points themselves, and no copies."""
        return self.in_memory and not self.has_missing and all(map(_is_ready, self._data))

    @property
    def is_alone(self) -> bool:
        """Return whether this process has all points."""
        return type(self._others) is Alone

    def total(self, x: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes that hold points."""
        return self._others.total(x)

    def here(self, rows: Tensor) -> Tensor:
        """Return which of the rows (n,) of every data set this process holds, (G, n)."""
        own = rows - self._start
        return (own >= 0) & (own < self._own_sizes.unsqueeze(-1))

    def blocks(self) -> Iterator[Block]:
        """Yield blocks with every point of this process once, each data set's rows in order."""
        if self.keeps and len(self._kept) == len(self._plan):
            yield from self._kept
            return
        self._kept.clear()
        for sets, start, rows, valid in self._raw_blocks():
            x = rows.to(self.device, self.work_dtype) - self.center[sets].unsqueeze(1)
            weights = self._weights_of(sets, start, x.shape[1])
            observed = None
            if self.has_missing:
                observed = x.isnan().logical_not().to(x.dtype)
                x.nan_to_num_(0)
            block = Block(sets, self._start + start, x, valid, weights, observed)
            if self.keeps:
                self._kept.append(block)
            yield block

    def arrays(self) -> Iterator[tuple[int, np.ndarray[Any, Any], np.ndarray[Any, Any] | None]]:
        """Yield the index of a data set, points of it as they are, (n, D), and their weights.

        Only points on the CPU have arrays; those of other types than float32 and float64 are
        converted to that of the results, some at a time.
        """
        for g, item in enumerate(self._data):
            x = as_points(item)
            is_ready = _is_ready(x)
            is_whole = is_ready and not self.has_missing
            for start in range(0, len(x), len(x) if is_whole else self.chunk_size):
                rows = x if is_whole else x[start : start + self.chunk_size]
                rows = rows if is_ready else rows.to("cpu", self.dtype).contiguous()
                if self.has_missing:
                    center = self.center[g if self.in_memory else 0].to(rows.dtype)
                    rows = torch.where(rows.isnan(), center, rows)
                w = None
                if self._weights is not None:
                    w = self._weights[g][start : start + len(rows)].double().contiguous().numpy()
                yield g if self.in_memory else 0, rows.detach().numpy(), w

    def _weights_of(self, sets: slice, start: int, n: int) -> Tensor | None:
        """Return the weights of n rows of some data sets, with zeros where rows only pad."""
        if self._weights is None:
            return None
        rows = torch.zeros(sets.stop - sets.start, n, dtype=torch.float64, device=self.device)
        for row, g in zip(rows, range(sets.start, sets.stop), strict=True):
            own = self._weights[g][start : start + n]
            row[: len(own)] = own
        return rows

    @property
    def row_weights(self) -> Tensor | None:
        """Return the weights of all points, (G, N), zeros where data sets are shorter, or None."""
        if self._weights is None:
            return None
        return self._weights_of(slice(0, len(self)), 0, int(self.n_points.max()))

    def take(self, index: Tensor) -> Tensor:
        """Return the centred rows of every data set at index (G, S), (G, S, D) in float64."""
        if isinstance(self._data, Sequence) and self.is_alone and not self.has_missing:
            own = [as_points(x)[i.to(x.device)] for x, i in zip(self._data, index, strict=True)]
            taken = torch.stack(own).to(self.device, self.work_dtype)
            return (taken - self.center.unsqueeze(1)).double()
        rows = torch.zeros(*index.shape, self.n_features, dtype=torch.float64, device=self.device)
        for block in self.blocks():
            local = index[block.sets] - block.start
            here = (local >= 0) & (local < block.x.shape[1])
            found = local.clamp(0, block.x.shape[1] - 1).unsqueeze(-1)
            found_rows = block.x.gather(1, found.expand(-1, -1, self.n_features))
            view = rows[block.sets]
            view.copy_(torch.where(here.unsqueeze(-1), found_rows.double(), view))
        return self.total(rows)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Return each feature's mean (relative to the centre) and variance, (G, D), float64."""
        mean, square = self._sums / self.observed
        return mean, (square - mean.square()).clamp_min(0)

    @property
    def lengths(self) -> Tensor:
        """Return the sum of the points' squared lengths, (G,), float64."""
        return self._sums[1].sum(-1)

    @cached_property
    def _sums(self) -> Tensor:
        """Return the sums of each feature and of its square, (2, G, D), float64."""
        sums = torch.zeros(2, len(self), self.n_features, dtype=torch.float64, device=self.device)
        for block in self.blocks():
            sums[0, block.sets] += block.weigh(block.x).sum(1, dtype=torch.float64)
            sums[1, block.sets] += block.weigh(block.x.square()).sum(1, dtype=torch.float64)
        return self.total(sums)

    @cached_property
    def squared_lengths(self) -> Tensor:
        """Return the squared length of every point of data sets in memory, (G, N), float64.

        It is 0 where rows only pad.
        """
        found = torch.zeros(len(self), int(self.n_points.max()), device=self.device).double()
        for block in self.blocks():
            rows = slice(block.start, block.start + block.x.shape[1])
            found[block.sets, rows] = block.mask(block.lengths)
        return found

    @cached_property
    def scatter(self) -> Tensor:
        """Return the sum of the points' outer products, (G, D, D), float64."""
        D = self.n_features
        sums = torch.zeros(len(self), D, D, dtype=torch.float64, device=self.device)
        for block in self.blocks():
            sums[block.sets] += block.scatter
        return self.total(sums)

    @property
    def scatter_about_mean(self) -> Tensor:
        """Return the sum of the points' outer products about their mean, (G, D, D), float64.

        Values that are missing count as independent of all others.
        """
        mean, variance = self.moments
        spread = torch.diag_embed((self.sizes.unsqueeze(-1) - self.observed) * variance)
        mean = mean.unsqueeze(-1)
        return self.scatter - self.sizes[:, None, None] * mean @ mean.mT + spread

    def _survey(self, missing: bool) -> tuple[Tensor, Tensor, list[int], Tensor]:
        """Read all points once, and check them.

        Returns:
            The sum of each data set and how often its features are known, both (G, D), its number
            of points, and how many values are missing of all, ().
        """
        sums: list[Tensor] = []
        sizes: list[int] = []
        n_seen, n_missing = 0, torch.zeros((), dtype=torch.int64, device=self.device)
        for g, item in enumerate(self._data):
            x = as_points(item)
            if x.ndim != 2 or x.shape[-1] != self.n_features:
                raise ValueError(
                    f"data must have {self.n_features} features, got shape {tuple(x.shape)}"
                )
            weights = None if self._weights is None else self._weights[g]
            offset = 0 if self.in_memory else n_seen
            if missing:
                total, known, n_nan = sum_of_observed(x, weights, offset)
                n_missing += n_nan.to(self.device)
            else:
                total = sum_of_finite(x, offset)
                known = torch.full_like(total, len(x))
                if weights is not None:
                    total = self._weighted_sum(x, weights)
            n_seen += len(x)
            both = torch.stack([total, known]).to(self.device)
            if self.in_memory or not sums:
                sums.append(both)
                sizes.append(len(x))
            else:  # one data set, of however many batches
                sums[0] += both
                sizes[0] = n_seen
        if min(sizes) < 1:
            raise ValueError(f"data set {sizes.index(0)} must have at least one point, got 0")
        summed, observed = torch.stack(sums, 1)
        return summed, observed, sizes, n_missing

    def _weighted_sum(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum of the points, (D,) in float64, without a copy of all."""
        total = torch.zeros(x.shape[-1], dtype=torch.float64, device=x.device)
        for w, rows in zip(weights.to(x.device).split(_AT_ONCE), x.split(_AT_ONCE), strict=True):
            total += w.double() @ rows.double()
        return total

    def _pack(self, sizes: list[int]) -> list[tuple[slice, int, int]]:
        """Plan the blocks of points in memory; return (sets, first row, last row + 1) of each.

        Neighbouring small data sets share a padded block while padding is at most half of it.
        """
        plan: list[tuple[slice, int, int]] = []
        first = 0
        while first < len(sizes):
            last, longest, total = first + 1, sizes[first], sizes[first]
            while last < len(sizes):
                rows = max(longest, sizes[last]) * (last + 1 - first)
                if rows > min(self.chunk_size, 2 * (total + sizes[last])):
                    break
                longest, total, last = max(longest, sizes[last]), total + sizes[last], last + 1
            plan += [
                (slice(first, last), start, min(longest, start + self.chunk_size))
                for start in range(0, longest, self.chunk_size)
            ]
            first = last
        return plan

    def _fit(self) -> bool:
        """Return whether blocks are kept: a single one, or all if a GPU has room for them."""
        rows = sum((sets.stop - sets.start) * (stop - start) for sets, start, stop in self._plan)
        on_device = self.device.type == "cuda"
        room = free_bytes(self.device) // 2 if on_device else 0
        return len(self._plan) == 1 or rows * self._row_bytes <= room

    def _raw_blocks(self) -> Iterator[tuple[slice, int, Tensor, Tensor | None]]:
        if not isinstance(self._data, Sequence):
            start = 0
            for batch in self._data:
                for rows in as_points(batch).split(self.chunk_size):
                    yield slice(0, 1), start, rows.unsqueeze(0), None
                    start += len(rows)
            return
        for sets, start, stop in self._plan:
            parts = [as_points(self._data[g])[start:stop] for g in range(sets.start, sets.stop)]
            if len({len(part) for part in parts}) == 1:
                yield sets, start, torch.stack(parts) if len(parts) > 1 else parts[0][None], None
                continue
            rows = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
            position = torch.arange(start, start + rows.shape[1], device=self.device)
            valid = position < self._own_sizes[sets].unsqueeze(-1)
            yield sets, start, rows, valid


def _is_ready(item: Any) -> bool:
    """Return whether points are such as the kernels take, (N, D) row after row."""
    x = as_points(item)
    return x.is_cpu and x.dtype in (torch.float32, torch.float64) and x.is_contiguous()


def as_points(item: Any) -> Tensor:
    """Return an item as a tensor; it may be a tensor, an array, or a tuple that begins with one."""
    if isinstance(item, list | tuple) and item and hasattr(item[0], "shape"):
        item = item[0]
    return item if isinstance(item, Tensor) else torch.as_tensor(item)


def sum_of_finite(x: Tensor, offset: int = 0) -> Tensor:
    """Return the sum of the points, (D,) in float64.

    Raises:
        ValueError: If a value is NaN or infinite; it names the first such row, plus offset.
    """
    total = x.sum(0, dtype=torch.float64 if x.shape[-1] < _WIDE else None).double()
    if not total.isfinite().all():
        finite = x.isfinite().all(-1)
        if not finite.all():
            row = int(finite.logical_not().nonzero()[0])
            kind = "NaN" if x[row].isnan().any() else "infinity"
            raise ValueError(
                f"X must be finite, got {kind} in row {row + offset}: Input X contains {kind}"
            )
        total = x.double().sum(0)
    return total


def _check_observed(observed: Tensor) -> None:
    """Raise ValueError unless every feature is known of some point, by its counts (G, D)."""
    if not (observed > 0).all():
        g, d = (observed == 0).nonzero()[0].tolist()
        where = f" of data set {g}" if len(observed) > 1 else ""
        raise ValueError(
            f"X must have a value of every feature, got NaN alone in feature {d}{where}; "
            "leave that feature out"
        )
