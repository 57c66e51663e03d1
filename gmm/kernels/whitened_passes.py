"""Passes over points on the CPU by components with full covariances, with all digits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from gmm.kernels import EVIDENCE, LARGE, LIKELIEST, SUMS
from gmm.kernels.blas import gemm_address
from gmm.kernels.large import add_products, log_joint, mirror, scale
from gmm.kernels.softmax import settle
from gmm.kernels.threads import one_thread_each, parts, run
from gmm.kernels.whitened import NOTHING, sweep_whitened

Array = np.ndarray[Any, Any]

_NO_WEIGHTS = np.empty(0)
_NO_VALUES = np.empty((0, 0))
_ROOM = 8_000_000  # numbers of points that are worked on at a time there


@dataclass(frozen=True)
class ExactSums:
    """What a pass over the points of a data set summed up.

    Attributes:
        counts: Of the responsibilities, (P,).
        shifts: Of x - mu weighted by them, (P, D).
        products: Of the products of its features, (P, D, D), or (0, D, D).
        evidence: Of log p(x), (M,).
        entropy: Of r log r over points and components, (M,), or of length 0.
    """

    counts: Array
    shifts: Array
    products: Array
    evidence: Array
    entropy: Array

    def __iadd__(self, other: "ExactSums") -> "ExactSums":
        for own, more in zip(vars(self).values(), vars(other).values(), strict=True):
            own += more
        return self


@dataclass(frozen=True)
class Whitened:
    """Components with full covariances.

    Attributes:
        roots: Upper triangular U, U U^T = Sigma^-1, (P, D, D).
        means: Relative to the centre, (P, D).
        constants: Log joint density at the mean, (P,).
        first: Where a mixture's components begin, (M + 1,).
        center: (D,).
    """

    roots: Array
    means: Array
    constants: Array
    first: Array
    center: Array

    def sums(
        self, x: Array, weights: Array | None, *, entropy: bool = False, products: bool = True
    ) -> ExactSums:
        """Return the sums over points (n, D) of weights (n,) or None."""
        total = self._nothing(products, entropy)
        self._sweep(x, weights, SUMS, total, _NO_VALUES)
        return total

    def values(self, x: Array, what: int) -> Array:
        """Return values of points (n, D): (M, n) for EVIDENCE and LIKELIEST, else (P, n)."""
        n_rows = len(self.first) - 1 if what in (EVIDENCE, LIKELIEST) else len(self.means)
        out = np.empty((n_rows, len(x)))
        self._sweep(x, None, what, self._nothing(products=False, entropy=False), out)
        return out

    def _sweep(
        self, x: Array, weights: Array | None, what: int, total: ExactSums, out: Array
    ) -> None:
        """Take points through a pass, and add what it sums up to the total."""
        sweep = self._sweep_large if x.shape[1] >= LARGE else self._sweep_rows
        with one_thread_each():
            sweep(x, _NO_WEIGHTS if weights is None else weights, what, total, out)

    def _sweep_rows(
        self, x: Array, weights: Array, what: int, total: ExactSums, out: Array
    ) -> None:
        """Give each thread some of the points, and sums of its own."""
        P, D = self.means.shape
        shares = parts(len(x), len(x) * P * D * D)
        of_rest = (len(total.products) > 0, len(total.entropy) > 0)
        into = [total, *(self._nothing(*of_rest) for _ in shares[1:])]
        given = (self.center, self.roots, self.means, self.constants, self.first, what)
        calls = [
            partial(
                sweep_whitened,
                *(x, weights, *given, *vars(sums).values(), out, gemm_address(True), *rows),
            )
            for sums, rows in zip(into, shares, strict=True)
        ]
        run(calls)
        for part in into[1:]:
            total += part

    def _sweep_large(
        self, x: Array, weights: Array, what: int, total: ExactSums, out: Array
    ) -> None:
        """Give the threads parts of the same sums."""
        P, D = self.means.shape
        n_rows = min(len(x), max(1, _ROOM // D))
        made = np.empty((n_rows, D))
        for start in range(0, len(x), n_rows):
            n = min(n_rows, len(x) - start)
            shares = parts(n, n * P * D * D)
            joints = [np.empty((P, end - begin)) for begin, end in shares]
            sums = (total.evidence, total.entropy)
            evidences = [tuple(np.zeros_like(own) for own in sums) for _ in shares]
            calls = [
                partial(self._settle, x, weights, what, start, made, joint, evidence, out, *rows)
                for joint, evidence, rows in zip(joints, evidences, shares, strict=True)
            ]
            run(calls)
            for part in evidences:
                for own, more in zip(sums, part, strict=True):
                    own += more
            if what == SUMS:
                resp = np.concatenate(joints, 1)
                _add(x, start, resp, self.center, self.means, made, total)
        mirror(total.products)

    def _settle(
        self,
        x: Array,
        weights: Array,
        what: int,
        start: int,
        made: Array,
        joint: Array,
        evidence: tuple[Array, ...],
        out: Array,
        begin: int,
        end: int,
    ) -> None:
        """Set joint (P, end - begin) to the responsibilities of some rows."""
        log_joint(
            *(x, start, self.center, self.roots, self.means, self.constants),
            *(made, joint, gemm_address(True), begin, end),
        )
        n = end - begin
        room = np.empty((4, n))
        before = np.empty((len(joint) if len(evidence[1]) else 0, n))
        settle(
            *(joint, self.first, what, weights, start + begin, n, *evidence, before),
            *(room, room[0].view(np.int64), out),
        )

    def _nothing(self, products: bool, entropy: bool) -> ExactSums:
        (P, D), M = self.means.shape, len(self.first) - 1
        return _zeros(P, D, M, M if entropy else 0, products)


def sums_of_labels(
    x: Array, weights: Array | None, labels: Array, first: Array, center: Array, means: Array
) -> ExactSums:
    """Return the sums, without evidence, where points belong to one component of each mixture.

    Args:
        x: Points of many features, (n, D).
        weights: (n,) or None.
        labels: Which of a mixture's components, (M, n).
        first: See `Whitened`, as for the rest.
        center: (D,).
        means: (P, D).
    """
    P, D = means.shape
    total, n_rows = _zeros(P, D, 0, 0, True), min(len(x), max(1, _ROOM // D))
    made = np.empty((n_rows, D))
    mixture = np.repeat(np.arange(len(labels)), np.diff(first))
    slot = np.arange(P) - first[mixture]
    with one_thread_each():
        for start in range(0, len(x), n_rows):
            rows = slice(start, start + n_rows)
            resp = (labels[mixture, rows] == slot[:, None]).astype(np.float64)
            resp = resp if weights is None else resp * weights[rows]
            _add(x, start, resp, center, means, made, total)
    mirror(total.products)
    return total


def _zeros(P: int, D: int, M: int, n_entropies: int, products: bool) -> ExactSums:
    shapes = ((P,), (P, D), (P if products else 0, D, D), (M,), (n_entropies,))
    return ExactSums(*(np.zeros(shape) for shape in shapes))


def _add(
    x: Array,
    start: int,
    resp: Array,
    center: Array,
    means: Array,
    made: Array,
    total: ExactSums,
) -> None:
    """Add points from a row on, under responsibilities (P, n), component by component.

    Args:
        x: All points.
        start: The first of the n points.
        resp: (P, n).
        center: What means are relative to, (D,).
        means: What sums are about, (P, D).
        made: Room, (n, D) or larger.
        total: Added to; of its products, the lower triangles.
    """
    D = made.shape[1]
    for p, of_component in enumerate(resp):
        total.counts[p] += of_component.sum()
        rows = np.flatnonzero(of_component > NOTHING)
        roots = np.sqrt(of_component[rows])
        given = (x, start, center, means[p], rows, roots, made)
        run([partial(scale, *given, *part) for part in parts(len(rows), len(rows) * D)])
        if len(total.products) == 0:
            total.shifts[p] += roots @ made[: len(rows)]
            continue
        sums = (made, roots, total.shifts[p], total.products[p], gemm_address(True))
        of_triangle = _of_triangle(D, len(parts(D, len(rows) * D * D)))
        run([partial(add_products, *sums, *some) for some in of_triangle])


def _of_triangle(D: int, n_parts: int) -> Sequence[tuple[int, int]]:
    """Return ranges of rows of a triangle, whose areas are the same."""
    return list(pairwise(round(D * (i / n_parts) ** 0.5) for i in range(n_parts + 1)))
