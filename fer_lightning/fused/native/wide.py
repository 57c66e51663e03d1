"""An epoch of SGD on many faces at a time, of several models that see the same ones.

Such a step is products of matrices, which SciPy's BLAS computes, and it is taken with a few models
at a time, whose weights, velocities and gradients a core has in its cache until they are updated.
"""

import numpy as np

from fer_lightning.fused.native.perceptron import compiled, look, of_logits, update

_WIDE = 160  # rows of a product, where models are not wider: more would leave the cache
_FACES = 256  # of a product without training


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
    """Train K multilayer perceptrons with ReLU for an epoch, in place.

    Args:
        pixels: Grey levels of all faces, (N, P) uint8.
        rows: Those of the epoch in their order, (T,).
        labels: Their classes, (T,).
        batch_size: Faces of a step; the last may have fewer.
        widths: Pixels, units of the hidden layers, classes: (L + 1,).
        first: Weights of the first layers, (K, units, P).
        rest: Their biases, then weights and bias of each further layer, flat, (K, n).
        first_velocity: As first; (0, 0, 0) where there is no momentum.
        rest_velocity: As rest; (0, 0) where there is none.
        rates: Learning rate of every step, (steps, K).
        momentum: As of `torch.optim.SGD`, (K,).
        decay: Weight decay, (K,).
        nesterov: Not 0 for Nesterov's momentum, (K,).
        logits: Set to those that every face had in its step, (K, T, classes).
    """
    K, H, P = first.shape
    T = rows.shape[0]
    B = min(batch_size, T)
    at_once = min(K, max(1, _WIDE // H))
    faces = np.empty((B, P), first.dtype)
    first_units = np.empty(at_once * H * B, first.dtype)
    g_first = np.empty((at_once * H, P), first.dtype)
    units = np.empty((widths.shape[0], B * widths[1:].max()), first.dtype)
    d_units = np.empty_like(units)
    g_rest = np.empty(rest.shape[1], first.dtype)
    none = rest_velocity[:0].reshape(0)
    moves = first_velocity.shape[0] > 0
    for step in range((T + B - 1) // B):
        start = step * B
        n = min(B, T - start)
        x = faces[:n]
        look(pixels, rows, start, n, x)
        for k in range(0, K, at_once):
            end = min(K, k + at_once)
            height = (end - k) * H
            z = first_units[: height * n].reshape(height, n)
            np.dot(first[k:end].reshape(height, P), x.T, z)
            for m in range(k, end):
                of_model = z[(m - k) * H : (m - k + 1) * H]
                of_step = labels, start, logits[m]
                _gradients(widths, rest[m], of_model, *of_step, units, d_units, g_rest)
                of_rest = rest_velocity[m] if moves else none
                update(
                    *(rest[m], of_rest, g_rest, rates[step, m]),
                    *(momentum[m], decay[m], nesterov[m] != 0),
                )
            g = g_first[:height]
            np.dot(z, x, g)
            for m in range(k, end):
                of_first = first_velocity[m].reshape(H * P) if moves else none
                update(
                    *(first[m].reshape(H * P), of_first),
                    *(g[(m - k) * H : (m - k + 1) * H].reshape(H * P), rates[step, m]),
                    *(momentum[m], decay[m], nesterov[m] != 0),
                )


@compiled
def logits_of(pixels, rows, widths, first, rest, logits):
    """Set the logits of faces, without training; all as in `train_epoch`."""
    K, H, P = first.shape
    T = rows.shape[0]
    B = min(_FACES, T)
    at_once = min(K, max(1, _WIDE // H))
    faces = np.empty((B, P), first.dtype)
    first_units = np.empty(at_once * H * B, first.dtype)
    units = np.empty((widths.shape[0], B * widths[1:].max()), first.dtype)
    for start in range(0, T, B):
        n = min(B, T - start)
        x = faces[:n]
        look(pixels, rows, start, n, x)
        for k in range(0, K, at_once):
            end = min(K, k + at_once)
            z = first_units[: (end - k) * H * n].reshape((end - k) * H, n)
            np.dot(first[k:end].reshape((end - k) * H, P), x.T, z)
            for m in range(k, end):
                found = _forward(widths, rest[m], z[(m - k) * H : (m - k + 1) * H], units)
                for c in range(found.shape[0]):
                    for b in range(n):
                        logits[m, start + b, c] = found[c, b]


@compiled
def _forward(widths, weights, z, units):
    """Return the logits of a model, (classes, B), from the products of its first layer.

    Args:
        widths: As in `train_epoch`.
        weights: Of the model, as `rest` there, (n,).
        z: Products of the first layer, (units, B); set to its outputs.
        units: Room for the outputs of each further layer; they stay there.
    """
    L, n = widths.shape[0] - 1, z.shape[1]
    _add_bias(z, weights[: widths[1]], L > 1)
    at, before = widths[1], z
    for layer in range(2, L + 1):
        n_in, n_out = widths[layer - 1], widths[layer]
        made = units[layer, : n_out * n].reshape(n_out, n)
        np.dot(weights[at : at + n_out * n_in].reshape(n_out, n_in), before, made)
        at += n_out * n_in
        _add_bias(made, weights[at : at + n_out], layer < L)
        at += n_out
        before = made
    return before


@compiled
def _gradients(widths, weights, z, labels, start, logits, units, d_units, g):
    """Set g to the gradients of all but the first weights, and z to those before these.

    Args:
        widths: As in `train_epoch`.
        weights: Of the model, as `rest` there, (n,).
        z: Products of the first layer, (units, B), and then the gradients with respect to them.
        labels: As there.
        start: First face of the step.
        logits: As there, of the model.
        units: Room for the outputs of each layer.
        d_units: Room for the gradients with respect to them.
        g: (n,).
    """
    L, n = widths.shape[0] - 1, z.shape[1]
    outputs = _forward(widths, weights, z, units)
    d = d_units[L, : outputs.shape[0] * n].reshape(outputs.shape[0], n)
    of_logits(outputs.T, labels, start, n, logits, d.T)
    at = g.shape[0]
    for layer in range(L, 0, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        at -= n_out
        for j in range(n_out):
            g[at + j] = d[j].sum()
        if layer == 1:
            break
        at -= n_out * n_in
        before = z if layer == 2 else units[layer - 1, : n_in * n].reshape(n_in, n)
        np.dot(d, before.T, g[at : at + n_out * n_in].reshape(n_out, n_in))
        d_before = d_units[layer - 1, : n_in * n].reshape(n_in, n)
        np.dot(weights[at : at + n_out * n_in].reshape(n_out, n_in).T, d, d_before)
        _where_positive(d_before, before)
        d = d_before
    z[:] = d


@compiled
def _add_bias(z, bias, is_hidden):
    zero = z.dtype.type(0)
    for j in range(z.shape[0]):
        row, b = z[j], bias[j]
        for i in range(row.shape[0]):
            value = row[i] + b
            # not a number stays one
            row[i] = zero if is_hidden and value < zero else value


@compiled
def _where_positive(d, outputs):
    for j in range(d.shape[0]):
        row, out = d[j], outputs[j]
        for i in range(row.shape[0]):
            row[i] = row[i] if out[i] > 0 else row.dtype.type(0)
