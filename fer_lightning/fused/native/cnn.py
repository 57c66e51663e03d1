"""An epoch of SGD of a convolutional network, face by face, as one compiled function.

What a face needs stays in a core's nearest caches: its pixels, the pooled outputs of its layers and
which pixel of a pool was taken. Filters are last, and eight at a time fill a register: numbers of
eight neighbours are tuples, which the compiler turns into vectors. A pool's pixels are convolved at
once and never stored. In the backward pass only pixels that were taken have a gradient: one in nine
or four, and only where ReLU let it through.

Positions are unsigned, as a signed index might count from the end.
"""

from typing import Any

import numpy as np
from numba import config, njit
from numba.core.compiler import Compiler

from fer_lightning.fused.native.perceptron import add_one, dot, of_logits, update


class _TuplesAsVectors(Compiler):
    """Numba's compiler with a pass of LLVM that numba leaves out: equal steps become one."""

    def compile_extra(self, func):
        before, config.SLP_VECTORIZE = config.SLP_VECTORIZE, 1
        try:
            return super().compile_extra(func)
        finally:
            config.SLP_VECTORIZE = before


# Sums keep their order, else the compiler makes vectors along another axis.
_compiled: Any = njit(
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
    pipeline_class=_TuplesAsVectors,
)

_0, _1, _2, _3, _4, _5, _6, _7, _8, _16 = (np.uint64(i) for i in (*range(9), 16))


@_compiled
def train_epoch(
    pixels,
    rows,
    labels,
    batch_size,
    blocks,
    places,
    shifts,
    taps,
    sizes,
    weights,
    velocity,
    rates,
    momentum,
    decay,
    nesterov,
    logits,
):
    """Train one network of convolutions with ReLU and max-pooling for an epoch, in place.

    Args:
        pixels: Grey levels of all faces, (N, P) uint8.
        rows: Those of the epoch in their order, (T,).
        labels: Their classes, (T,).
        batch_size: Faces of a step, B; the last may have fewer.
        blocks: Of each convolution, (L,), `blocks` of a `Layout`; the next four as there, too.
        places: Of each convolution and pool, where its first pixel and its output are, (L, n, 2).
        shifts: Where the pixels of a pool are, from its first, (L, 9).
        taps: Where the groups of eight numbers that a filter sees are, from its first, (L, n).
        sizes: Numbers of outputs with the faces, of pools and of weights by filter.
        weights: All weights, as `Layout` orders them.
        velocity: As weights; (0,) where there is no momentum.
        rates: Learning rate of every step.
        momentum: As of `torch.optim.SGD`, each an array (1,) of the weights' type.
        decay: Weight decay.
        nesterov: Not 0 for Nesterov's momentum.
        logits: Set to those that every face had in its step, (T, classes).
    """
    T, mu, wd, ahead = rows.shape[0], momentum[0], decay[0], nesterov[0] != 0
    x, dx = np.zeros(sizes[0], weights.dtype), np.zeros(sizes[0], weights.dtype)
    taken, by_filter = np.zeros(sizes[1], weights.dtype), np.zeros(sizes[2], weights.dtype)
    at, d_at = np.zeros(places.shape[1], np.uint64), np.zeros(places.shape[1], weights.dtype)
    z, d = np.zeros((1, logits.shape[1]), weights.dtype), np.zeros((1, logits.shape[1]), x.dtype)
    gradient = np.zeros_like(weights)
    for step in range((T + batch_size - 1) // batch_size):
        start = step * batch_size
        stop = min(T, start + batch_size)
        gradient[:] = 0
        _arrange(blocks, weights, by_filter)
        share = weights.dtype.type(1) / weights.dtype.type(stop - start)
        for i in range(start, stop):
            _look(pixels[rows[i]], blocks, x)
            _forward(blocks, places, weights, by_filter, x, taken, z)
            of_logits(z, labels, i, 1, logits, d)
            for c in range(d.shape[1]):
                d[0, c] *= share
            _backward(blocks, places, shifts, taps, weights, gradient, x, dx, taken, at, d_at, d)
        update(weights, velocity, gradient, rates[step], mu, wd, ahead)


@_compiled
def logits_of(pixels, rows, blocks, places, sizes, weights, logits):
    """Set logits, (T, classes), to those of faces; arguments as in `train_epoch`."""
    x = np.zeros(sizes[0], weights.dtype)
    taken, by_filter = np.zeros(sizes[1], weights.dtype), np.zeros(sizes[2], weights.dtype)
    _arrange(blocks, weights, by_filter)
    for i in range(rows.shape[0]):
        _look(pixels[rows[i]], blocks, x)
        _forward(blocks, places, weights, by_filter, x, taken, logits[i : i + 1])


@_compiled
def _arrange(blocks, weights, by_filter):
    """Put neighbouring filters of each convolution side by side."""
    for block in blocks:
        for o in range(block["n_out"]):
            group, lane = o // block["width"], o % block["width"]
            for ky in range(block["kernel"]):
                begin = block["w"] + o * block["n_filter"] + ky * block["n_row"]
                put = block["f"] + lane
                put += (group * block["kernel"] + ky) * block["run"] * block["width"]
                for t in range(block["run"]):
                    by_filter[put + t * block["width"]] = weights[begin + t]


@_compiled
def _look(face, blocks, x):
    """Set the inputs of the first layer to a face in [0, 1]."""
    scale = x.dtype.type(1) / x.dtype.type(255)
    block = blocks[0]
    side, margin = block["side"], block["kernel"] // _2
    for y in range(side):
        begin = (y + margin) * block["stride"] + margin
        row = face[y * side : (y + _1) * side]
        made = x[begin : begin + side]
        for i in range(row.shape[0]):
            made[i] = x.dtype.type(row[i]) * scale


@_compiled
def _forward(blocks, places, weights, by_filter, x, taken, z):
    """Set x to the pooled outputs of all blocks, taken to the pixels chosen, z to the logits."""
    for i in range(np.uint64(blocks.shape[0])):
        block = blocks[i]
        for o in range(_0, block["n_out"], block["width"]):
            if block["pool"] == _3:
                _pools_of_nine(block, o, places[i], weights, by_filter, x, taken)
            else:
                _pools_of_four(block, o, places[i], weights, by_filter, x, taken)
    last = blocks[blocks.shape[0] - 1]
    features = x[last["out"] : last["out"] + last["n_pools"] * last["n_out"]]
    n, n_classes = features.shape[0], z.shape[1]
    begin = weights.shape[0] - n_classes * (n + 1)
    for c in range(n_classes):
        z[0, c] = dot(weights[begin + c * n : begin + (c + 1) * n], features)
        z[0, c] += weights[weights.shape[0] - n_classes + c]


@_compiled
def _pools_of_nine(block, o, places, weights, by_filter, x, taken):
    """Apply eight filters from o on to all pools of 3x3 pixels."""
    one, none = x.dtype.type(1), x.dtype.type(0)
    first = (none, none, none, none, none, none, none, none)
    bias = _eight(weights, block["b"] + o)
    begin = block["f"] + o * block["kernel"] * block["run"]
    stride, n_in = block["stride"], block["n_in"]
    for q in range(block["n_pools"]):
        at = begin
        a = b = c = d = e = f = g = h = i = bias
        for ky in range(block["kernel"]):
            row = places[q, _0] + ky * stride
            for t in range(block["run"]):
                w = _eight(by_filter, at)
                at += _8
                p = row + t
                a = _plus(a, x[p], w)
                b = _plus(b, x[p + n_in], w)
                c = _plus(c, x[p + n_in + n_in], w)
                p += stride
                d = _plus(d, x[p], w)
                e = _plus(e, x[p + n_in], w)
                f = _plus(f, x[p + n_in + n_in], w)
                p += stride
                g = _plus(g, x[p], w)
                h = _plus(h, x[p + n_in], w)
                i = _plus(i, x[p + n_in + n_in], w)
        best, which, j = a, first, none
        for other in (b, c, d, e, f, g, h, i):
            j += one
            which = _which(best, other, which, j)
            best = _larger(best, other)
        _put(x, places[q, _1] + o, _larger(first, best))
        _put(taken, block["q"] + q * block["n_out"] + o, which)


@_compiled
def _pools_of_four(block, o, places, weights, by_filter, x, taken):
    """Apply sixteen filters from o on to all pools of 2x2 pixels, or of one."""
    one, none = x.dtype.type(1), x.dtype.type(0)
    first = (none, none, none, none, none, none, none, none)
    low, high = _eight(weights, block["b"] + o), _eight(weights, block["b"] + o + _8)
    begin = block["f"] + o * block["kernel"] * block["run"]
    stride, n_in = block["stride"], block["n_in"]
    for q in range(block["n_pools"]):
        at = begin
        a = b = c = d = low
        e = f = g = h = high
        for ky in range(block["kernel"]):
            row = places[q, _0] + ky * stride
            for t in range(block["run"]):
                w, u = _eight(by_filter, at), _eight(by_filter, at + _8)
                at += _16
                p = row + t
                a, e = _plus(a, x[p], w), _plus(e, x[p], u)
                b, f = _plus(b, x[p + n_in], w), _plus(f, x[p + n_in], u)
                p += stride
                c, g = _plus(c, x[p], w), _plus(g, x[p], u)
                d, h = _plus(d, x[p + n_in], w), _plus(h, x[p + n_in], u)
        best, which, best_of_high, which_of_high, j = a, first, e, first, none
        if block["pool"] > _1:
            for other, of_high in ((b, f), (c, g), (d, h)):
                j += one
                which = _which(best, other, which, j)
                best = _larger(best, other)
                which_of_high = _which(best_of_high, of_high, which_of_high, j)
                best_of_high = _larger(best_of_high, of_high)
        put = places[q, _1] + o
        _put(x, put, _larger(first, best))
        _put(x, put + _8, _larger(first, best_of_high))
        put = block["q"] + q * block["n_out"] + o
        _put(taken, put, which)
        _put(taken, put + _8, which_of_high)


@_compiled
def _backward(blocks, places, shifts, taps, weights, gradient, x, dx, taken, at, d_at, d):
    """Add a face's gradients of all weights, from those of its logits, (1, classes)."""
    L = np.uint64(blocks.shape[0])
    last = blocks[L - _1]
    out, n, n_classes = last["out"], last["n_pools"] * last["n_out"], d.shape[1]
    features, d_features = x[out : out + n], dx[out : out + n]
    end = weights.shape[0] - n_classes
    begin = end - n_classes * features.shape[0]
    dx[:] = 0
    for c in range(n_classes):
        gradient[end + c] += d[0, c]
        here = begin + c * features.shape[0]
        there = here + features.shape[0]
        add_one(gradient[here:there], d[0, c], features)
        add_one(d_features, d[0, c], weights[here:there])
    for i in range(L):
        k = L - _1 - i
        block = blocks[k]
        for o in range(block["n_out"]):
            n, total = _gather(block, o, places[k], shifts[k], x, dx, taken, at, d_at)
            gradient[block["b"] + o] += total
            own = block["w"] + o * block["n_filter"]
            if n:
                for t in range(_0, block["n_groups"], _5):
                    _add_patches(gradient, own + t * _8, d_at, at, n, x, taps[k], t)
                if k:
                    _spread(dx, d_at, at, n, weights, own, taps[k], block["n_groups"])


@_compiled
def _gather(block, o, places, shifts, x, dx, taken, at, d_at):
    """Find the pixels of a filter that have a gradient; return how many, and the gradients' sum."""
    n, total = _0, x.dtype.type(0)
    for q in range(block["n_pools"]):
        put = places[q, _1] + o
        j = np.uint64(taken[block["q"] + q * block["n_out"] + o])
        at[n], d_at[n] = places[q, _0] + shifts[j], dx[put]
        if x[put] > 0:
            total += dx[put]
            n += _1
    return n, total


@_compiled
def _add_patches(gradient, put, d, at, n, x, taps, t):
    """Add what n pixels see, each times its gradient, to five groups of a filter's gradients."""
    a, b, c = _eight(gradient, put), _eight(gradient, put + _8), _eight(gradient, put + _16)
    e, f = _eight(gradient, put + _16 + _8), _eight(gradient, put + _16 + _16)
    of_a, of_b, of_c, of_e, of_f = taps[t], taps[t + _1], taps[t + _2], taps[t + _3], taps[t + _4]
    for i in range(n):
        p = at[i]
        a = _plus(a, d[i], _eight(x, p + of_a))
        b = _plus(b, d[i], _eight(x, p + of_b))
        c = _plus(c, d[i], _eight(x, p + of_c))
        e = _plus(e, d[i], _eight(x, p + of_e))
        f = _plus(f, d[i], _eight(x, p + of_f))
    _put(gradient, put, a)
    _put(gradient, put + _8, b)
    _put(gradient, put + _16, c)
    _put(gradient, put + _16 + _8, e)
    _put(gradient, put + _16 + _16, f)


@_compiled
def _spread(dx, d, at, n, weights, own, taps, n_groups):
    """Add a filter's weights, times the gradient of each of n pixels, to those of what it sees."""
    for i in range(n):
        for t in range(n_groups):
            p = at[i] + taps[t]
            _put(dx, p, _plus(_eight(dx, p), d[i], _eight(weights, own + t * _8)))


@_compiled
def _eight(x, p):
    """Return eight neighbours."""
    return x[p], x[p + _1], x[p + _2], x[p + _3], x[p + _4], x[p + _5], x[p + _6], x[p + _7]


@_compiled
def _put(x, p, a):
    """Set eight neighbours."""
    x[p], x[p + _1], x[p + _2], x[p + _3] = a[0], a[1], a[2], a[3]
    x[p + _4], x[p + _5], x[p + _6], x[p + _7] = a[4], a[5], a[6], a[7]


@_compiled
def _plus(a, s, b):
    """Return a + s b."""
    low = a[0] + s * b[0], a[1] + s * b[1], a[2] + s * b[2], a[3] + s * b[3]
    return *low, a[4] + s * b[4], a[5] + s * b[5], a[6] + s * b[6], a[7] + s * b[7]


@_compiled
def _is_larger(a, b):
    return b > a or b != b  # as PyTorch: what is not a number wins


@_compiled
def _larger(a, b):
    """Return the larger of each pair, the first of equal ones."""
    return (
        b[0] if _is_larger(a[0], b[0]) else a[0],
        b[1] if _is_larger(a[1], b[1]) else a[1],
        b[2] if _is_larger(a[2], b[2]) else a[2],
        b[3] if _is_larger(a[3], b[3]) else a[3],
        b[4] if _is_larger(a[4], b[4]) else a[4],
        b[5] if _is_larger(a[5], b[5]) else a[5],
        b[6] if _is_larger(a[6], b[6]) else a[6],
        b[7] if _is_larger(a[7], b[7]) else a[7],
    )


@_compiled
def _which(a, b, of_a, of_b):
    """Return of_b where b is the larger, and else of_a."""
    return (
        of_b if _is_larger(a[0], b[0]) else of_a[0],
        of_b if _is_larger(a[1], b[1]) else of_a[1],
        of_b if _is_larger(a[2], b[2]) else of_a[2],
        of_b if _is_larger(a[3], b[3]) else of_a[3],
        of_b if _is_larger(a[4], b[4]) else of_a[4],
        of_b if _is_larger(a[5], b[5]) else of_a[5],
        of_b if _is_larger(a[6], b[6]) else of_a[6],
        of_b if _is_larger(a[7], b[7]) else of_a[7],
    )
