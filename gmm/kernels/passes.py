"""Passes over points on the CPU: arrays and natural parameters go in, sums or values come out."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gmm.kernels import (
    EVIDENCE,
    LENGTH,
    LIKELIEST,
    NONE,
    PAIRS,
    SQUARES,
    SUMS,
    SUMS_OF_LIKELIEST,
)
from gmm.kernels.blas import gemm_address
from gmm.kernels.narrow import sweep
from gmm.kernels.threads import one_thread_each, parts, run
from gmm.kernels.wide import FEATURES, sweep_wide

Array = np.ndarray[Any, Any]

_NOTHING = np.empty(0)
_NO_VALUES = np.empty((0, 0))
# What a component costs per point beside its products, in multiplications.
_SOFTMAX = 20


@dataclass(frozen=True)
class Swept:
    """What a pass over the points of a data set summed up.

    Attributes:
        sums: Statistics weighted by responsibilities, (P, F), in the order of the parameters.
        evidence: Sum of log p(x), (M,); of the largest log joint, where likeliest.
        entropy: Sum of r log r over points and components, (M,), or of length 0.
    """

    sums: Array
    evidence: Array
    entropy: Array

    def __iadd__(self, other: "Swept") -> "Swept":
        for own, more in zip(vars(self).values(), vars(other).values(), strict=True):
            own += more
        return self


@dataclass(frozen=True)
class Components:
    """The components of M mixtures, as natural parameters of statistics of the points.

    The log joint density of a point and a component is linear in the point's features, 1 and some
    products of the features, in this order.

    Attributes:
        products: Which products: NONE, LENGTH (the squared length), SQUARES or PAIRS.
        natural: Parameters, (P, F).
        first: Where a mixture's components begin, (M + 1,).
        center: What the features are relative to, (D,); for many features in their dtype, or the
            work is done in float64.
    """

    products: int
    natural: Array
    first: Array
    center: Array

    def sums(
        self,
        batches: Iterable[tuple[Array, Array | None]],
        *,
        likeliest: bool = False,
        entropy: bool = False,
    ) -> Swept:
        """Return the sums over points.

        Args:
            batches: Points (n, D), float32 or float64, and their weights (n,) or None.
            likeliest: Whether a point belongs to its likeliest component alone.
            entropy: Whether the entropy is wanted.
        """
        total = self._nothing(entropy)
        what = SUMS_OF_LIKELIEST if likeliest else SUMS
        for x, weights in batches:
            self._sweep(x, weights, what, total, _NO_VALUES)
        return total

    def values(self, x: Array, what: int) -> Array:
        """Return values of points (n, D): (M, n) for EVIDENCE and LIKELIEST, else (P, n)."""
        n_rows = len(self.first) - 1 if what in (EVIDENCE, LIKELIEST) else len(self.natural)
        out = np.empty((n_rows, len(x)))
        self._sweep(x, None, what, self._nothing(entropy=False), out)
        return out

    def _sweep(self, x: Array, weights: Array | None, what: int, total: Swept, out: Array) -> None:
        """Take points through a pass, and add what it sums up to the total."""
        P, F = self.natural.shape
        shares = parts(len(x), len(x) * P * (F + _SOFTMAX))
        is_wide = x.shape[1] >= FEATURES and self.products != PAIRS and x.dtype == self.center.dtype
        one = _WideComponents(self, x.dtype) if is_wide else self._narrow
        given = (x, _NOTHING if weights is None else weights, what)
        others = [self._nothing(len(total.entropy) > 0) for _ in shares[1:]]
        calls = [
            partial(one, *given, into, out, *rows)
            for into, rows in zip([total, *others], shares, strict=True)
        ]
        with one_thread_each():
            run(calls)
        for part in others:
            total += part

    def _narrow(
        self, x: Array, weights: Array, what: int, into: Swept, out: Array, begin: int, end: int
    ) -> None:
        center = self.center.astype(np.float64, copy=False)
        sweep(
            *(x, weights, center, self.products, self.natural, self.first, what),
            *(into.sums, into.evidence, into.entropy, out, gemm_address(True), begin, end),
        )

    def _nothing(self, entropy: bool) -> Swept:
        M = len(self.first) - 1
        return Swept(np.zeros(self.natural.shape), np.zeros(M), np.zeros(M if entropy else 0))


class _WideComponents:
    """Components as the pass over wide points takes them.

    Args:
        components: The same.
        dtype: Of the points.
    """

    def __init__(self, components: Components, dtype: np.dtype[Any]) -> None:
        self._of = components
        D, P = len(components.center), len(components.natural)
        linear, constant, rest = np.split(components.natural, [D, D + 1], 1)
        squared = rest if components.products == SQUARES else np.empty((0, D))
        if dtype == np.float32:
            linear, squared = _with_common(linear), _with_common(squared)
        self._linear, self._squared = (np.ascontiguousarray(a, dtype) for a in (linear, squared))
        self._of_length = rest[:, 0].copy() if components.products == LENGTH else np.zeros(P)
        self._constant = constant[:, 0].copy()
        self._address = gemm_address(dtype == np.float64)

    def __call__(
        self, x: Array, weights: Array, what: int, into: Swept, out: Array, begin: int, end: int
    ) -> None:
        P, D = len(self._constant), x.shape[1]
        sums, lengths, counts = np.zeros((P, D)), np.zeros(P), np.zeros(P)
        squares = np.zeros((P if len(self._squared) else 0, D))
        sweep_wide(
            *(x, weights, self._of.center, self._linear, self._squared, self._of_length),
            *(self._constant, self._of.first, what, sums, squares, lengths, counts),
            *(into.evidence, into.entropy, out, self._address, begin, end),
        )
        into.sums[:, :D] += sums
        into.sums[:, D] += counts
        if self._of.products != NONE:
            into.sums[:, D + 1 :] += squares if len(squares) else lengths[:, None]


def _with_common(parameters: Array) -> Array:
    """Return parameters (P, D) less their mean, which follows as a row of its own."""
    if len(parameters) == 0:
        return parameters
    mean = parameters.mean(0, keepdims=True)
    return np.concatenate([parameters - mean, mean])
