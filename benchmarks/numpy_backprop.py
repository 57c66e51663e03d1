"""The study's backpropagation as it is written down in NumPy, and the time of its epochs.

A vectorised line of NumPy for each equation, with im2col for convolutions, and the study's loop:
shuffle, minibatches, cross-entropy and accuracy of every epoch, and those of the validation faces.
The study computed in float64, which NumPy does unless it is told otherwise; float32 is as fair a
comparison with PyTorch. `python -m benchmarks.numpy_backprop` prints seconds an epoch of both.
"""

import functools
import time
from collections.abc import Callable

import numpy as np

from benchmarks.faces import ALL, SomeFaces
from benchmarks.results import in_turns, parser, publish
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP

Arrays = list[np.ndarray]
# From weights and faces in [0, 1], (B, 48, 48), to logits, (B, 7), and what takes the gradient of
# the loss with respect to these to the gradients of the weights.
Network = Callable[[Arrays, np.ndarray], tuple[np.ndarray, Callable[[np.ndarray], Arrays]]]


def mlp(weights: Arrays, x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], Arrays]]:
    """Return the logits of an MLP with two hidden layers, and its backward pass."""
    w1, b1, w2, b2, w3, b3 = weights
    a0 = x.reshape(len(x), -1)
    z1 = a0 @ w1.T + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ w2.T + b2
    a2 = np.maximum(z2, 0)

    def backward(d3: np.ndarray) -> Arrays:
        d2 = (d3 @ w3) * (z2 > 0)
        d1 = (d2 @ w2) * (z1 > 0)
        return [g for d, a in ((d1, a0), (d2, a1), (d3, a2)) for g in (d.T @ a, d.sum(0))]

    return a2 @ w3.T + b3, backward


def cnn(weights: Arrays, x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], Arrays]]:
    """Return the logits of a CNN with two convolutions, and its backward pass.

    Channels come last, as `im2col` needs them.
    """
    w1, b1, w2, b2, w3, b3 = weights
    columns1 = im2col(x[..., None], w1.shape[-1])
    z1 = columns1 @ w1.reshape(len(w1), -1).T + b1
    p1, mask1 = pool(np.maximum(z1, 0), 3)
    columns2 = im2col(p1, w2.shape[-1])
    z2 = columns2 @ w2.reshape(len(w2), -1).T + b2
    p2, mask2 = pool(np.maximum(z2, 0), 2)
    flat = p2.transpose(0, 3, 1, 2).reshape(len(x), -1)

    def backward(d3: np.ndarray) -> Arrays:
        back = (d3 @ w3).reshape(len(x), len(w2), *p2.shape[1:3]).transpose(0, 2, 3, 1)
        d2 = unpool(back, mask2) * (z2 > 0)
        turned = w2[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        d1 = im2col(d2, w2.shape[-1]) @ turned.reshape(len(turned), -1).T
        d1 = unpool(d1, mask1) * (z1 > 0)
        return [
            *filter_gradients(d1, columns1, w1.shape),
            *filter_gradients(d2, columns2, w2.shape),
            d3.T @ flat,
            d3.sum(0),
        ]

    return flat @ w3.T + b3, backward


def im2col(x: np.ndarray, k: int) -> np.ndarray:
    """Return the zero-padded k x k patches of x (N, H, W, C) as (N, H, W, C * k * k)."""
    padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))
    return windows.reshape(*x.shape[:3], -1)


def filter_gradients(d: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]) -> Arrays:
    """Return the gradients of filters and biases from those of their outputs, (N, H, W, F)."""
    flat = d.reshape(-1, d.shape[-1])
    return [(flat.T @ columns.reshape(len(flat), -1)).reshape(shape), flat.sum(0)]


def pool(x: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the maximum of each block, (N, h, w, C), and a mask of its first place there."""
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // size, size, w // size, size, c).transpose(0, 1, 3, 5, 2, 4)
    flat = blocks.reshape(*blocks.shape[:4], size * size)
    mask = np.arange(size * size) == flat.argmax(-1)[..., None]
    return flat.max(-1), mask


def unpool(d: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Send each gradient, (N, h, w, C), back to the pixel that its maximum came from."""
    n, h, w, c = d.shape
    size = round(mask.shape[-1] ** 0.5)
    blocks = (d[..., None] * mask).reshape(n, h, w, c, size, size)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * size, w * size, c)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean cross-entropy in nats, and its gradient with respect to the logits."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(p[rows, labels]).mean()
    p[rows, labels] -= 1
    return loss, p / len(labels)


NETWORKS: dict[str, tuple[Network, type[MLP] | type[CNN]]] = {"mlp": (mlp, MLP), "cnn": (cnn, CNN)}


def epoch_seconds(
    model: str,
    splits: FaceSplits,
    batch_size: int,
    epochs: int,
    dtype: type = np.float64,
    lr: float = 0.01,
    momentum: float = 0.0,
) -> list[float]:
    """Train by the study's loop from the project's initial weights; return each epoch's seconds."""
    network, ours = NETWORKS[model]
    weights: Arrays = [p.detach().numpy().astype(dtype) for p in ours().layers.parameters()]
    velocity = [np.zeros_like(w) for w in weights]
    (x, labels), (x_val, labels_val) = (_arrays(f, dtype) for f in (splits.train, splits.val))
    rng = np.random.default_rng(0)
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        total = correct = 0.0
        order = rng.permutation(len(x))
        for rows in np.split(order, range(batch_size, len(x), batch_size)):
            logits, backward = network(weights, x[rows])
            loss, d = cross_entropy(logits, labels[rows])
            for w, v, gradient in zip(weights, velocity, backward(d), strict=True):
                v *= momentum
                v -= lr * gradient
                w += v
            total += loss * len(rows)
            correct += (logits.argmax(1) == labels[rows]).sum()
        evaluate(network, weights, x_val, labels_val)
        seconds.append(time.perf_counter() - start)
    return seconds


def evaluate(
    network: Network, weights: Arrays, x: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy, computed for a hundred faces at a time."""
    parts = np.split(x, range(100, len(x), 100))
    logits = np.concatenate([network(weights, part)[0] for part in parts])
    return cross_entropy(logits, labels)[0], float((logits.argmax(1) == labels).mean())


def _arrays(faces: Faces, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    x = faces.images.squeeze(1).numpy().astype(dtype) / dtype(255)
    return x, faces.labels.numpy()


def main() -> None:
    """Time the epochs, print the table and write it as JSON."""
    args = parser("numpy_backprop", __doc__, rounds=3).parse_args()
    splits = SomeFaces(200 if args.quick else ALL).read()
    rows = []
    for model in NETWORKS:
        for batch_size in (1, 10, 100, 1000):
            contenders = {
                f"{dtype.__name__}, ms": functools.partial(_timed, model, splits, batch_size, dtype)
                for dtype in (np.float64, np.float32)
            }
            row = {"network": model, "batch": batch_size}
            rows.append({**row, **in_turns(contenders, args.rounds)})
    publish(args.json, rows)


def _timed(model: str, splits: FaceSplits, batch_size: int, dtype: type) -> list[float]:
    return [1e3 * s for s in epoch_seconds(model, splits, batch_size, 2, dtype)[1:]]


if __name__ == "__main__":
    main()
