"""An epoch of SGD on few faces at a time, as one compiled function for each model.

Such a step is memory traffic, not arithmetic: it reads and writes every weight and velocity once,
and a core has them in its cache. Between calls of PyTorch it would wait for Python most of the
time. The loops are compiled by numba when they are first needed, and kept on disk.
"""

from typing import Any

import numpy as np
from numba import njit

# No flag lets the compiler assume that numbers are finite.
compiled: Any = njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"}
)
_TILE = 512  # pixels at a time: a row's gradients, and some of the faces, stay in the nearest cache


@compiled
def train_epoch(
    pixels,
    rows,
    labels,
    batch_size,
    widths,
    first,
    rest,
    first_velocity,
    rest_velocity,
    rates,
    momentum,
    decay,
    nesterov,
    logits,
):
    """Train one multilayer perceptron with ReLU for an epoch, in place.

    Every step's update of the first layer and the next step's forward pass through it are one pass
    over its weights.

    Args:
        pixels: Grey levels of all faces, (N, P) uint8.
        rows: Those of the epoch in their order, (T,).
        labels: Their classes, (T,).
        batch_size: Faces of a step, B; the last may have fewer.
        widths: Pixels, units of the hidden layers, classes: (L + 1,).
        first: Weights of the first layer, (units, P).
        rest: Its bias, then weights and bias of each further layer, flat.
        first_velocity: As first; (0, 0) where there is no momentum.
        rest_velocity: As rest; (0,) where there is none.
        rates: Learning rate of every step.
        momentum: As of `torch.optim.SGD`, each an array (1,) of the weights' type.
        decay: Weight decay.
        nesterov: Not 0 for Nesterov's momentum.
        logits: Set to those that every face had in its step, (T, classes).
    """
    T, P, L = rows.shape[0], widths[0], widths.shape[0] - 1
    B, widest = min(batch_size, T), widths[1:].max()
    old, new = np.empty((B, P), first.dtype), np.empty((B, P), first.dtype)
    units = np.zeros((L + 1, B, widest), first.dtype)
    d, d_before = np.zeros((B, widest), first.dtype), np.zeros((B, widest), first.dtype)
    room = np.empty(max(_TILE, widest), first.dtype)
    mu, wd, ahead = momentum[0], decay[0], nesterov[0] != 0
    n = B
    look(pixels, rows, 0, n, new)
    _first_layer(first, first_velocity, d, old, 0, new, n, units[1], rates[0], mu, wd, ahead, room)
    for step in range((T + B - 1) // B):
        start = step * B
        _forward(widths, rest, units, n)
        of_logits(units[L], labels, start, n, logits, d)
        d, d_before = _backward(
            widths, rest, rest_velocity, units, d, d_before, n, rates[step], mu, wd, ahead, room
        )
        old, new = new, old
        n_old, n = n, max(0, min(B, T - start - B))
        if n > 0:
            look(pixels, rows, start + B, n, new)
        _first_layer(
            *(first, first_velocity, d, old, n_old, new, n, units[1]),
            *(rates[step], mu, wd, ahead, room),
        )


@compiled
def look(pixels, rows, start, n, x):
    """Set x (n, P) to faces in [0, 1]."""
    scale = x.dtype.type(1) / x.dtype.type(255)
    for b in range(n):
        face, made = pixels[rows[start + b]], x[b]
        for p in range(face.shape[0]):
            made[p] = x.dtype.type(face[p]) * scale


@compiled
def _first_layer(w, velocity, d, old, n_old, new, n_new, z, rate, mu, wd, ahead, room):
    """Update the first layer by the gradients d (n_old, units), and set z to new w^T."""
    H, P = w.shape
    if n_old == 1 and n_new == 1:
        for j in range(H):
            if velocity.shape[0] == 0:
                z[0, j] = _plain(w[j], d[0, j], old[0], new[0], rate, wd)
            elif ahead:
                z[0, j] = _ahead(w[j], velocity[j], d[0, j], old[0], new[0], rate, mu, wd)
            else:
                z[0, j] = _moving(w[j], velocity[j], d[0, j], old[0], new[0], rate, mu, wd)
        return
    z[:n_new] = 0
    for left in range(0, P, _TILE):
        right = min(P, left + _TILE)
        g = room[: right - left]
        for j in range(H):
            row = w[j, left:right]
            if n_old:
                g[:] = 0
                for b in range(0, n_old - 3, 4):
                    of_each = (d[b, j], d[b + 1, j], d[b + 2, j], d[b + 3, j])
                    _add_four(g, *of_each, *_four(old, b, left, right))
                for b in range(n_old - n_old % 4, n_old):
                    add_one(g, d[b, j], old[b, left:right])
                of_row = velocity[j, left:right] if velocity.shape[0] else room[:0]
                update(row, of_row, g, rate, mu, wd, ahead)
            for b in range(0, n_new - 3, 4):
                found = _dot_four(row, *_four(new, b, left, right))
                for i in range(4):
                    z[b + i, j] += found[i]
            for b in range(n_new - n_new % 4, n_new):
                z[b, j] += dot(row, new[b, left:right])


@compiled
def _plain(w, a, old, new, rate, wd):
    total = w.dtype.type(0)
    for i in range(w.shape[0]):
        x = w[i] - rate * (a * old[i] + wd * w[i])
        w[i] = x
        total += x * new[i]
    return total


@compiled
def _moving(w, velocity, a, old, new, rate, mu, wd):
    total = w.dtype.type(0)
    for i in range(w.shape[0]):
        v = mu * velocity[i] + (a * old[i] + wd * w[i])
        velocity[i] = v
        x = w[i] - rate * v
        w[i] = x
        total += x * new[i]
    return total


@compiled
def _ahead(w, velocity, a, old, new, rate, mu, wd):
    total = w.dtype.type(0)
    for i in range(w.shape[0]):
        g = a * old[i] + wd * w[i]
        v = mu * velocity[i] + g
        velocity[i] = v
        x = w[i] - rate * (g + mu * v)
        w[i] = x
        total += x * new[i]
    return total


@compiled
def _four(x, b, left, right):
    return x[b, left:right], x[b + 1, left:right], x[b + 2, left:right], x[b + 3, left:right]


@compiled
def _add_four(g, a, b, c, d, x, y, z, u):
    for i in range(g.shape[0]):
        g[i] += (a * x[i] + b * y[i]) + (c * z[i] + d * u[i])


@compiled
def _dot_four(w, x, y, z, u):
    none = w.dtype.type(0)
    a, b, c, d = none, none, none, none
    for i in range(w.shape[0]):
        a += w[i] * x[i]
        b += w[i] * y[i]
        c += w[i] * z[i]
        d += w[i] * u[i]
    return a, b, c, d


@compiled
def add_one(g, a, x):
    for i in range(g.shape[0]):
        g[i] += a * x[i]


@compiled
def dot(a, b):
    total = a.dtype.type(0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@compiled
def update(w, velocity, g, rate, mu, wd, ahead):
    """Take a step of SGD with weights, from their gradients."""
    n = w.shape[0]
    if velocity.shape[0] == 0:
        for i in range(n):
            w[i] -= rate * (g[i] + wd * w[i])
    elif ahead:
        for i in range(n):
            of_loss = g[i] + wd * w[i]
            velocity[i] = mu * velocity[i] + of_loss
            w[i] -= rate * (of_loss + mu * velocity[i])
    else:
        for i in range(n):
            velocity[i] = mu * velocity[i] + (g[i] + wd * w[i])
            w[i] -= rate * velocity[i]


@compiled
def _forward(widths, rest, units, n):
    """Set units[l] (B, widest) to the outputs of each layer, from the products of the first."""
    L, at = widths.shape[0] - 1, 0
    for layer in range(1, L + 1):
        n_in, n_out = widths[layer - 1], widths[layer]
        made = units[layer]
        if layer > 1:
            before = units[layer - 1]
            for b in range(n):
                for j in range(n_out):
                    made[b, j] = dot(rest[at + j * n_in : at + (j + 1) * n_in], before[b, :n_in])
            at += n_in * n_out
        zero = rest.dtype.type(0)
        for b in range(n):
            for j in range(n_out):
                value = made[b, j] + rest[at + j]
                # not a number stays one
                made[b, j] = zero if layer < L and value < zero else value
        at += n_out


@compiled
def of_logits(z, labels, start, n, logits, d):
    """Keep the logits, and set d to their gradients of the mean cross-entropy."""
    n_classes = logits.shape[1]
    one = z.dtype.type(1)
    share = one / z.dtype.type(n)
    for b in range(n):
        top = z[b, 0]
        for c in range(n_classes):
            logits[start + b, c] = z[b, c]
            top = max(top, z[b, c])
        total = z.dtype.type(0)
        for c in range(n_classes):
            d[b, c] = np.exp(z[b, c] - top)
            total += d[b, c]
        for c in range(n_classes):
            of_class = one if c == labels[start + b] else z.dtype.type(0)
            d[b, c] = (d[b, c] / total - of_class) * share


@compiled
def _backward(widths, rest, velocity, units, d, d_before, n, rate, mu, wd, ahead, room):
    """Update all but the first layer's weights; return the gradients before it, and the other."""
    at, none = rest.shape[0], velocity[0:0]
    moves = velocity.shape[0] > 0
    for layer in range(widths.shape[0] - 1, 0, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        at -= n_out
        g = room[:n_out]
        g[:] = 0
        for b in range(n):
            add_one(g, rest.dtype.type(1), d[b, :n_out])
        of_bias = velocity[at : at + n_out] if moves else none
        update(rest[at : at + n_out], of_bias, g, rate, mu, wd, ahead)
        if layer == 1:
            break
        at -= n_in * n_out
        before = units[layer - 1]
        d_before[:n, :n_in] = 0
        g = room[:n_in]
        for j in range(n_out):
            here = at + j * n_in
            row = rest[here : here + n_in]
            g[:] = 0
            for b in range(n):
                add_one(d_before[b, :n_in], d[b, j], row)
                add_one(g, d[b, j], before[b, :n_in])
            of_row = velocity[here : here + n_in] if moves else none
            update(row, of_row, g, rate, mu, wd, ahead)
        for b in range(n):
            for i in range(n_in):
                if not before[b, i] > 0:
                    d_before[b, i] = 0
        d, d_before = d_before, d
    return d, d_before
