"""Where the loops of a convolutional network keep its weights and its outputs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

Array = np.ndarray[Any, Any]
_LANES, _GROUPS = 8, 5  # numbers that are one tuple in the loops; tuples that are summed at once


class Block(NamedTuple):
    """A convolution with its ReLU and pool, in numbers; places count from the first of all.

    Attributes:
        kernel: Side of its filters.
        n_in: Channels of its input, filled up.
        n_out: Its filters, filled up.
        side: Side of its input in pixels.
        pool: Side of a pool.
        n_pools: Number of pools.
        width: Filters that are applied at once.
        run: Numbers of a row that a filter sees.
        stride: Numbers of a row of pixels, its margin included.
        n_row: As run, filled up.
        n_groups: Tuples that a filter sees.
        n_filter: Weights of a filter, filled up.
        w: Place of its weights.
        b: Place of its bias.
        f: Place of its weights by filter.
        q: Place of its pools.
        x: Place of its input.
        out: Place of what follows its input, with that of the next.
    """

    kernel: int
    n_in: int
    n_out: int
    side: int
    pool: int
    n_pools: int
    width: int
    run: int
    stride: int
    n_row: int
    n_groups: int
    n_filter: int
    w: int
    b: int
    f: int
    q: int
    x: int
    out: int

    @classmethod
    def after(
        cls, before: "Block | None", n_filters: int, kernel: int, pool: int, side: int
    ) -> "Block":
        """Return the block that follows one, or the first.

        Args:
            before: The one before, or None.
            n_filters: Its filters, as the network has them.
            kernel: Their side.
            pool: Side of a pool.
            side: Side of its input in pixels.
        """
        width = _LANES if pool == 3 else 2 * _LANES
        n_in = before.n_out if before else 1
        w, f, q, x = (0, 0, 0, 0)
        if before:
            w, x = before.b + before.n_out, before.out
            f = before.f + before.n_out * before.kernel * before.run
            q = before.q + before.n_pools * before.n_out
        n_out, run, stride = _up(n_filters, width), kernel * n_in, (side + kernel // 2) * n_in
        n_row = _up(run, _LANES)
        n_groups = kernel * n_row // _LANES
        n_filter = _up(n_groups, _GROUPS) * _LANES
        # a pool of one pixel is convolved as one of four, and the last group of a row is filled up
        n_x = (side + kernel) * stride + (kernel + 1) * n_in + n_row
        return cls(
            *(kernel, n_in, n_out, side, pool, (side // pool) ** 2, width, run, stride, n_row),
            *(n_groups, n_filter, w, w + n_out * n_filter, f, q, x, x + n_x),
        )

    def corners(self) -> Array:
        """Return the places of the first pixel that the first pixel of each pool sees."""
        at = self.pool * np.arange(self.side // self.pool)
        return (self.x + at[:, None] * self.stride + at * self.n_in).ravel()

    def inside(self) -> Array:
        """Return the places of the pixels of the input, within its margin."""
        at = self.kernel // 2 + np.arange(self.side)
        return (self.x + at[:, None] * self.stride + at * self.n_in).ravel()

    def shifts(self) -> Array:
        """Return the places of the pixels of a pool, from its first."""
        at = np.arange(self.pool)
        return (at[:, None] * self.stride + at * self.n_in).ravel()

    def taps(self) -> Array:
        """Return the places of the tuples that a filter sees, from the first."""
        rows = np.arange(self.kernel) * self.stride
        return (rows[:, None] + np.arange(0, self.n_row, _LANES)).ravel()


class Layout:
    """Places of all numbers of a network of convolutions with ReLU and max-pooling.

    Rows of pixels have the margin of the zeros between them once. Each pixel has its channels, the
    filters of the layer before, filled up to whole tuples. The weights of a filter are rows of its
    kernel, pixel by pixel, each filled up as well. What fills up is 0, or not used.

    Args:
        layers: Those of a `fer_lightning.networks.CNN`.
        side: Side of the faces in pixels.

    Attributes:
        blocks: The numbers of each `Block`, (L,).
        places: For each block and pool, its corner and the place of its output, (L, n, 2).
        shifts: Of each block, (L, 9).
        taps: Of each block, (L, n).
        sizes: Numbers of outputs with the faces, of pools, and of weights by filter, (3,).
        n_weights: Number of all weights.
    """

    def __init__(self, layers: Sequence[nn.Module], side: int) -> None:
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        pools = [layer.kernel_size for layer in layers if isinstance(layer, nn.MaxPool2d)]
        self._filters = [layer.out_channels for layer in convolutions]
        self._blocks: list[Block] = []
        for layer, pool in zip(convolutions, pools, strict=True):
            before = self._blocks[-1] if self._blocks else None
            assert isinstance(pool, int)
            made = Block.after(before, layer.out_channels, layer.kernel_size[0], pool, side)
            self._blocks.append(made)
            side //= pool
        # the linear layer sees what a convolution of single pixels would
        end = Block.after(made, 1, 1, 1, side)
        outputs = [block.inside() for block in (*self._blocks[1:], end)]
        corners = [block.corners() for block in self._blocks]
        both = [np.stack(pair, 1) for pair in zip(corners, outputs, strict=True)]
        self.blocks = np.array(self._blocks, [(name, np.uint64) for name in Block._fields])
        self.places = _filled(both)
        self.shifts = _filled([block.shifts() for block in self._blocks], 9)
        self.taps = _filled([block.taps() for block in self._blocks], to=_GROUPS)
        (linear,) = (layer for layer in layers if isinstance(layer, nn.Linear))
        self.n_weights = end.w + linear.out_features * (made.n_pools * made.n_out + 1)
        self.sizes = np.array([end.out, end.q, end.f], np.uint64)

    def gathered(self, own: Sequence[Array], dtype: "np.dtype[Any]") -> Array:
        """Return parameters of the network, in its order, in this layout; (0,) for none."""
        flat = np.zeros(self.n_weights if own else 0, dtype)
        for ours, in_layout in self._views(own, flat):
            in_layout[:] = ours
        return flat

    def scatter(self, flat: Array, own: Sequence[Array]) -> None:
        """Set parameters of the network, in its order, to those in this layout."""
        for ours, in_layout in self._views(own, flat):
            ours[:] = in_layout

    def _views(self, own: Sequence[Array], flat: Array) -> Iterator[tuple[Array, Array]]:
        """Return pairs of views of the same numbers, of one shape, in the two layouts."""
        if not own:
            return
        n_channels = 1
        for i, (block, n_filters) in enumerate(zip(self._blocks, self._filters, strict=True)):
            n, side, n_row = n_filters, block.kernel, block.n_row
            filters = flat[block.w : block.b].reshape(block.n_out, block.n_filter)
            rows = filters[:n, : side * n_row].reshape(n, side, n_row)[:, :, : block.run]
            by_pixel = rows.reshape(n, side, side, block.n_in)[..., :n_channels]
            yield own[2 * i].transpose(0, 2, 3, 1), by_pixel
            yield own[2 * i + 1], flat[block.b : block.b + n_filters]
            n_channels = n_filters
        weight, bias = own[-2:]
        begin, end = block.b + block.n_out, len(flat) - len(bias)
        of_linear = flat[begin:end].reshape(len(bias), block.n_pools, block.n_out)
        features = weight.reshape(len(bias), n_channels, block.n_pools)
        yield features.swapaxes(1, 2), of_linear[:, :, :n_channels]
        yield bias, flat[end:]


def is_cnn(layers: Iterable[nn.Module]) -> bool:
    """Return whether layers are those of a `fer_lightning.networks.CNN`."""
    kinds = [type(layer) for layer in layers]
    block = [nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    n_blocks = len(kinds) // len(block)
    return n_blocks > 0 and kinds == [*block * n_blocks, nn.Flatten, nn.Linear]


def _up(n: int, to: int) -> int:
    """Return the next multiple of a number."""
    return -(-n // to) * to


def _filled(rows: Sequence[Array], least: int = 1, to: int = 1) -> Array:
    """Return arrays of several lengths as one, filled up with 0 to a multiple, least at least."""
    n = _up(max(least, *map(len, rows)), to)
    made = np.zeros((len(rows), n, *rows[0].shape[1:]), np.uint64)
    for row, own in zip(made, rows, strict=True):
        row[: len(own)] = own
    return made
