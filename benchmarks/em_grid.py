"""EM over a grid of shapes: the library, scikit-learn and, where it is installed, pomegranate.

    python -m benchmarks.em --grid [--all] [--json grid.json]

Each cell is measured in a process of its own: one contender after the other, with pauses in which
threads that wait for work come to rest, and the least time of each. Both begin at the same
parameters and take the same iterations, or both find their start by k-means, as their estimators
do; where they begin alike, their log-likelihoods must be equal after two iterations, before
rounding has led them apart. Of scikit-learn's restarts, which run one after another, one is timed,
once more, where it takes over a second.

Sizes, widths of numbers, softness, number of fits and starts vary together, so that each value of
one meets each value of the others' in some cells; `--all` has every combination, but for matrices
of 2,304 features.
"""

import argparse
import itertools
import json
import math
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.mixture
import torch

import gmm
from benchmarks.machine import gemm_rate, peak_kib, reset_peak, seconds
from benchmarks.results import publish

SHAPES = (
    *((2_000, 2, 3), (2_000, 10, 10), (2_000, 64, 30), (20_000, 2, 5), (20_000, 16, 16)),
    *((20_000, 64, 10), (100_000, 2, 30), (100_000, 10, 10), (100_000, 32, 16)),
    (3_374, 2_304, 7),
)
KINDS = ("full", "tied", "diag", "spherical")
# What is added to variances lets 70 points have a covariance of 64 features in float32, too.
ITERATIONS, REG_COVAR, SLOW = 20, 1e-2, 1.0  # the last in seconds
ROUNDS, PAUSE = 3, 0.3  # the pause in seconds
# By how far log-likelihoods may differ, relative to their size.
EQUAL = {"float64": 1e-8, "float32": 1e-4}


@dataclass(frozen=True)
class Cell:
    """What is fitted, and how."""

    n: int
    d: int
    k: int
    kind: str
    dtype: str
    is_soft: bool
    n_fits: int
    by_kmeans: bool
    iterations: int = ITERATIONS

    def points(self) -> np.ndarray:
        """Return points of K clusters of unlike shapes, far apart or, if soft, all but together."""
        rng = np.random.default_rng(self.n + self.d)
        centers = rng.normal(size=(self.k, self.d)) * (0.2 if self.is_soft else 4)
        scales = rng.uniform(0.5, 1.5, (self.k, self.d))
        labels = rng.integers(self.k, size=self.n)
        noise = rng.normal(size=(self.n, self.d))
        if self.d > 1:
            noise[:, 1:] += 0.3 * noise[:, :-1]
        made: np.ndarray = (centers[labels] + noise * scales[labels]).astype(self.dtype)
        return made

    def starts(self, x: np.ndarray) -> gmm.Mixture:
        """Return one start for each fit: points for means, the spread of all for covariances."""
        rng = np.random.default_rng(1)
        means = np.stack([x[rng.choice(len(x), self.k, replace=False)] for _ in range(self.n_fits)])
        variances, eye = x.var(0).astype(np.float64), np.eye(self.d)
        covariances = {
            "full": np.broadcast_to(eye * variances, (self.k, self.d, self.d)),
            "tied": eye * variances,
            "diag": np.broadcast_to(variances, (self.k, self.d)),
            "spherical": np.full(self.k, variances.mean()),
        }[self.kind]
        weights = torch.full((self.n_fits, self.k), -math.log(self.k), dtype=torch.float64)
        of_each = torch.from_numpy(np.ascontiguousarray(covariances))
        return gmm.Mixture(
            weights,
            torch.from_numpy(means).double(),
            of_each.expand(self.n_fits, *of_each.shape),
            self.kind,
        )

    def flops(self) -> float:
        """Return the operations of the products that all fits need, as the textbook has them.

        Bishop 2006, eqs. 9.23-9.25: a quadratic form with each component for each point, and a
        weighted sum of its products; symmetry, which halves both, is not counted.
        """
        per_component = {"full": 4 * self.d**2, "tied": 4 * self.d, "diag": 8 * self.d}
        shared = 2 * self.d**2 if self.kind == "tied" else 0
        each = self.k * per_component.get(self.kind, 4 * self.d + 4) + shared
        return float(self.n) * each * self.iterations * self.n_fits


def cells(everything: bool) -> Iterator[Cell]:
    """Yield the cells of the grid, or every combination."""
    ways = list(itertools.product(("float64", "float32"), (False, True), (1, 10), (False, True)))
    for i, (shape, kind) in enumerate(itertools.product(SHAPES, KINDS)):
        # 0, 5, 10 and 15 differ pairwise in two of the four, and so do the others.
        chosen = ways if everything else [ways[(5 * j + i) % 16] for j in range(2)]
        is_slow = shape[1] > 1000 and kind in ("full", "tied")  # minutes for scikit-learn
        for dtype, is_soft, n_fits, by_kmeans in [ways[0], ways[13]] if is_slow else chosen:
            iterations = 2 if is_slow else ITERATIONS
            yield Cell(*shape, kind, dtype, is_soft, n_fits, by_kmeans, iterations)


def measure(cell: Cell) -> dict[str, Any]:
    """Return the row of a cell."""
    warnings.simplefilter("ignore")
    x = cell.points()
    if not cell.by_kmeans:
        _check_equal(replace(cell, iterations=2), x)
    ours, theirs = _ours(cell, x), _theirs(cell, x)
    first = seconds(lambda: theirs(1))
    n_timed, rounds = (cell.n_fits, ROUNDS) if first < SLOW else (1, 1)
    _ours(cell, x[: 50 * cell.k])()  # compiles, or reads what was compiled
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    base = reset_peak()
    ours()
    peaks = [(peak_kib() - base) / 1024]
    base = reset_peak()
    theirs(1)
    peaks.append((peak_kib() - base) / 1024)
    for _ in range(ROUNDS):
        time.sleep(PAUSE)
        times["ours"].append(seconds(ours))
    for _ in range(rounds):
        time.sleep(PAUSE)
        times["theirs"].append(seconds(lambda: theirs(n_timed)) * cell.n_fits / n_timed)
    took = {name: min(values) for name, values in times.items()}
    rate = cell.flops() / took["ours"] / 1e9
    return {
        "points": f"{cell.n:,} x {cell.d:,}, {cell.k}",
        "kind": cell.kind,
        "dtype": cell.dtype,
        "resp": "soft" if cell.is_soft else "hard",
        "fits": cell.n_fits,
        "start": "k-means" if cell.by_kmeans else "given",
        "ms": took["ours"] * 1e3,
        "scikit-learn ms": took["theirs"] * 1e3,
        "times as fast": took["theirs"] / took["ours"],
        "GEMM %": 100 * rate / gemm_rate(dtype=getattr(torch, cell.dtype)),
        "MiB": peaks[0],
        "scikit-learn MiB": peaks[1],
    }


def _check_equal(cell: Cell, x: np.ndarray) -> None:
    likelihood, expected = _ours(cell, x)(), _theirs(cell, x)(1)
    difference = abs(likelihood - expected) / abs(expected)
    if difference > EQUAL[cell.dtype]:
        raise AssertionError(f"log-likelihoods differ by {difference:.1e} in {cell}")


def _ours(cell: Cell, x: np.ndarray) -> Callable[[], float]:
    """Return a function that takes all fits, and returns the first one's log-likelihood."""
    options: dict[str, Any] = {"max_iter": cell.iterations, "tol": 0, "reg_covar": REG_COVAR}
    if cell.by_kmeans:
        model = gmm.GaussianMixture(
            cell.k, covariance_type=cell.kind, n_init=cell.n_fits, random_state=0, **options
        )
        return lambda: model.fit(x).lower_bound_
    points, starts = torch.from_numpy(x), cell.starts(x)
    return lambda: float(gmm.fit_em(points, starts, **options).final_log_likelihood[0])


def _theirs(cell: Cell, x: np.ndarray) -> Callable[[int], float]:
    """Return the same of scikit-learn, for some of the fits."""
    options: dict[str, Any] = {"max_iter": cell.iterations, "tol": 0, "reg_covar": REG_COVAR}
    Model = sklearn.mixture.GaussianMixture
    if cell.by_kmeans:

        def fit(n: int) -> float:
            model = Model(cell.k, covariance_type=cell.kind, n_init=n, random_state=0, **options)
            bound: float = model.fit(x).lower_bound_
            return bound

        return fit
    starts = cell.starts(x)
    precisions = starts.structure.inverse(starts.covariances).numpy().astype(x.dtype)

    def fit_each(n: int) -> float:
        bounds = []
        for i in range(n):
            model = Model(
                cell.k,
                covariance_type=cell.kind,
                weights_init=np.full(cell.k, 1 / cell.k, x.dtype),
                means_init=starts.means[i].numpy().astype(x.dtype),
                precisions_init=precisions[i],
                init_params="random_from_data",
                **options,
            )
            bounds.append(model.fit(x).lower_bound_)
        return float(bounds[0])

    return fit_each


def main(args: argparse.Namespace) -> None:
    """Measure all cells, and print the table, the geometric mean and the worst cell."""
    rows: list[dict[str, Any]] = []
    for cell in cells(args.all):
        command = [sys.executable, "-m", "benchmarks.em", "--cell", json.dumps(asdict(cell))]
        root = Path(__file__).parents[1]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(_line(rows[-1]), flush=True)
    publish(args.json, rows)
    ratios = [row["times as fast"] for row in rows]
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    worst = min(rows, key=lambda row: row["times as fast"])
    print(f"geometric mean {mean:.1f}; worst cell {_line(worst)}")


def _line(row: dict[str, Any]) -> str:
    what = " ".join(str(row[name]) for name in ("points", "kind", "dtype", "resp", "start"))
    return f"{what}, {row['fits']} fits: {row['times as fast']:.1f}"
