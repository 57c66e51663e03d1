"""Lloyd's algorithm on a CPU, for points in memory: most distances are never taken."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gmm.kernels.blas import gemm_address
from gmm.kernels.lloyd import assign_rows
from gmm.kernels.threads import one_thread_each, parts, run
from gmm.points import Points

Array = np.ndarray[Any, Any]

_NOTHING = np.empty(0)
_LESS = 1 - 1e-6  # of a distance that has been rounded


@dataclass
class _Part:
    """Some points of a data set, and what is known of them in one restart."""

    x: Array
    weights: Array
    labels: Array
    upper: Array
    lower: Array


class _Restart:
    """One restart on one data set: its centres, and the sums of the points that they have.

    Args:
        batches: The points, (n, D), and their weights, (n,) or None.
        center: What centres are relative to, (D,).
        centers: Where they begin, (K, D).
    """

    def __init__(
        self, batches: list[tuple[Array, Array | None]], center: Array, centers: Array
    ) -> None:
        self.centers = centers
        self._center = center
        self._parts = [
            _Part(
                *(x, _NOTHING if w is None else w, np.full(len(x), -1)),
                *(np.empty(len(x)), np.empty(len(x))),
            )
            for x, w in batches
        ]
        self._shifts = np.zeros(len(centers))
        self._counts, self._sums = np.zeros(len(centers)), np.zeros(centers.shape)
        self._knows_all = False

    def step(self) -> float:
        """Move the centres to the means of their points; return the squared distance they went."""
        self._assign()
        is_lost = self._without_points()
        moved: Array = self._sums / np.where(is_lost, 1, self._counts)[:, None]
        if is_lost.any():
            moved[is_lost] = self._farthest(int(is_lost.sum()))
        self._shifts = np.sqrt(np.square(moved - self.centers).sum(1))
        self.centers = moved
        return float(np.square(self._shifts).sum())

    def _assign(self) -> None:
        K = len(self.centers)
        lengths = np.square(self.centers).sum(1)
        gaps = lengths[:, None] + lengths - 2 * self.centers @ self.centers.T
        gaps[np.diag_indices(K)] = np.inf
        half_gaps = _LESS * 0.5 * np.sqrt(gaps.min(1).clip(0))
        for part in self._parts:
            shares = parts(len(part.x), part.x.size * (1 if self._knows_all else K))
            changes = [(np.zeros(K), np.zeros(self.centers.shape)) for _ in shares]
            known = (part.labels, part.upper, part.lower, not self._knows_all)
            run(
                [
                    partial(
                        assign_rows,
                        *(part.x, part.weights, self._center, self.centers, self._shifts),
                        *(half_gaps, *known, *change, gemm_address(True), *rows),
                    )
                    for change, rows in zip(changes, shares, strict=True)
                ]
            )
            for counts, sums in changes:
                self._counts += counts
                self._sums += sums
        self._knows_all = True

    def _without_points(self) -> Array:
        """Return which centres have no points, (K,)."""
        K = len(self.centers)
        n_points = sum(np.bincount(part.labels, minlength=K) for part in self._parts)
        return np.asarray(n_points == 0)

    def _farthest(self, n: int) -> Array:
        """Return the n points farthest from their centres, the farthest first, (n, D)."""
        rows = []
        for part in self._parts:
            for start in range(0, len(part.x), 65536):
                x = part.x[start : start + 65536].astype(np.float64) - self._center
                own = self.centers[part.labels[start : start + 65536]]
                gap = np.square(x - own).sum(1)
                order = np.argsort(-gap, kind="stable")[:n]
                rows += list(zip(gap[order], x[order], strict=True))
        rows.sort(key=lambda found: -found[0])
        return np.stack([x for _, x in rows[:n]])


def lloyd_with_bounds(
    points: Points, centers: Tensor, used: Tensor, max_iter: int, still: Tensor
) -> tuple[Tensor, Tensor]:
    """Run Lloyd's algorithm, and return the centres and the numbers of iterations.

    Args:
        points: G data sets in memory, on the CPU.
        centers: Where to begin, (G, M, K, D), float64, relative to `points.center`.
        used: False in slots without a centre, (G, M, K).
        max_iter: The largest number of iterations.
        still: A restart stops once its centres move by no more than this squared distance, (G, 1).
    """
    G, M = used.shape[:2]
    moved = centers.clone()
    n_iter = torch.zeros(G, M, dtype=torch.int64)
    batches: list[list[tuple[Array, Array | None]]] = [[] for _ in range(G)]
    for g, x, weights in points.arrays():
        batches[g].append((x, weights))
    # Squares that overflow are told where the range of the points is checked.
    with one_thread_each(), np.errstate(over="ignore", invalid="ignore"):
        for g in range(G):
            center = points.center[g].double().numpy()
            for m in range(M):
                slots = used[g, m]
                restart = _Restart(batches[g], center, centers[g, m, slots].numpy())
                for _ in range(max_iter):
                    distance = restart.step()
                    n_iter[g, m] += 1
                    if not distance > float(still[g, 0]):
                        break
                moved[g, m, slots] = torch.from_numpy(restart.centers)
    return moved, n_iter
