"""Speed of EM on faces against scikit-learn and a plain NumPy loop, as ratios in one run.

    python -m benchmarks.em [--repeats 7] [--faces faces.npy]
    python -m benchmarks.em --grid    # shapes of all sizes: see benchmarks/em_grid.py

The contenders take turns, so that what else the machine does falls on all of them, and medians
are compared. Without a file of faces, (N, 2304) in 0..255 as .npy, smooth synthetic ones are used.
Measured twice: at their full contrast each face belongs to one component alone; at three hundredths
of it, below the floor under the variances, most faces belong to several.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import sklearn.mixture
import torch

import gmm
from benchmarks import em_grid
from benchmarks.machine import gemm_rate, peak_kib, seconds

N, SIDE, K, FITS, ITERATIONS, VARIANCE = 3374, 48, 7, 10, 20, 0.01
STUDY_SIZES = (7, 14, 21, 28, 35)
CONTRASTS = {"hard": 1.0, "soft": 0.03}  # of the faces, by how their responsibilities are


def synthetic_faces(n: int) -> np.ndarray:
    """Return smooth blobs with the contrast of equalised faces, (n, 2304) in 0..255."""
    rng = np.random.default_rng(0)
    blobs = scipy.ndimage.gaussian_filter(rng.normal(size=(n, SIDE, SIDE)), (0, 5, 5))
    ranks = blobs.reshape(n, -1).argsort(-1).argsort(-1)
    return (ranks * 255 // (SIDE * SIDE - 1)).astype(np.uint8)


def numpy_em(
    x: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray, iterations: int
) -> float:
    """Run EM in NumPy, one component at a time; return the mean log-likelihood of a point."""
    x, means, variances = x.astype(np.float64), means.astype(float), variances.astype(float)
    for _ in range(iterations):
        joint = np.empty((len(x), len(weights)))
        for k in range(len(weights)):
            distance = ((x - means[k]) ** 2 / variances[k]).sum(1)
            joint[:, k] = np.log(weights[k]) - 0.5 * (
                distance + np.log(2 * np.pi * variances[k]).sum()
            )
        evidence = np.logaddexp.reduce(joint, axis=1)
        resp = np.exp(joint - evidence[:, None])
        for k in range(len(weights)):
            count = resp[:, k].sum()
            means[k] = (resp[:, k, None] * x).sum(0) / count
            spread = (resp[:, k, None] * (x - means[k]) ** 2).sum(0) / count
            variances[k] = np.maximum(spread, VARIANCE)
        weights = resp.mean(0)
    return float(evidence.mean())


def contenders(x: np.ndarray) -> dict[str, Callable[[np.ndarray], object]]:
    """Return the programs to time by name; all begin at the same parameters."""
    rng = np.random.default_rng(1)
    chosen = np.stack([rng.choice(len(x), K, replace=False) for _ in range(FITS)])
    weights = np.full(K, 1 / K, np.float32)
    variances = np.tile(np.maximum(2 * x.var(0), VARIANCE), (K, 1)).astype(np.float32)
    means, points = x[chosen[0]], torch.from_numpy(x)
    starts = gmm.Mixture(
        torch.from_numpy(weights).log().expand(FITS, K),
        points[torch.from_numpy(chosen)],
        torch.from_numpy(variances).expand(FITS, *variances.shape),
    )
    given = {"weights_init": weights, "means_init": means, "precisions_init": 1 / variances}
    options = {"covariance_type": "diag", "tol": 0, "max_iter": ITERATIONS, **given}
    ours: dict[str, Any] = {"max_iter": ITERATIONS, "tol": 0, "min_variance": VARIANCE}
    return {
        "scikit-learn": sklearn.mixture.GaussianMixture(K, reg_covar=VARIANCE, **options).fit,
        "estimator": gmm.GaussianMixture(K, reg_covar=0, min_variance=VARIANCE, **options).fit,
        "one fit": lambda _: gmm.fit_em(points, starts[0], **ours),
        "ten fits": lambda _: gmm.fit_em(points, starts, **ours),
        "NumPy loop, 2 iterations": lambda _: numpy_em(x, weights, means, variances, 2),
    }


def study(x: np.ndarray) -> None:
    """Fit all of the study's part B3+ in one call: 7 classes, 5 values of K, 10 iterations."""
    labels = np.random.default_rng(2).integers(0, 7, len(x))
    classifier = gmm.MixtureClassifier(
        STUDY_SIZES, min_variance=VARIANCE, rand_const=1, max_iter=10, tol=0, random_state=0
    )
    classifier.fit(x, labels)


def memory_of_a_fit(n: int) -> int:
    """Return by how many MiB fitting n points raises the peak memory of a separate process."""
    command = [sys.executable, "-m", "benchmarks.em", "--memory", str(n)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=True)
    return int(done.stdout)


def tell_memory(n: int) -> None:
    """Fit n points in this process, and print by how many MiB its peak memory rises."""
    x = torch.rand(n, SIDE * SIDE)
    start = gmm.Mixture(torch.full((K,), 1 / K).log(), x[:K], torch.ones(K, SIDE * SIDE))
    gmm.fit_em(x[: 2 * K], start, max_iter=1)  # what libraries load is not counted
    before = peak_kib()
    gmm.fit_em(x, start, max_iter=3, tol=0, min_variance=VARIANCE)
    print((peak_kib() - before) >> 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--memory", type=int, metavar="N", help=argparse.SUPPRESS)
    parser.add_argument("--grid", action="store_true", help="shapes of all sizes")
    parser.add_argument("--all", action="store_true", help="with --grid: every combination")
    parser.add_argument("--json", type=Path, default=Path("multirun/em_grid.json"))
    parser.add_argument("--cell", metavar="JSON", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.grid:
        em_grid.main(args)
        return
    if args.cell:
        print(json.dumps(em_grid.measure(em_grid.Cell(**json.loads(args.cell)))))
        return
    if args.memory:
        tell_memory(args.memory)
        return
    raw = np.load(args.faces)[:N] if args.faces else synthetic_faces(N)
    warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
    print(f"{torch.get_num_threads()} threads; GEMM {gemm_rate():.0f} GFLOP/s")
    for kind, contrast in CONTRASTS.items():
        x = (0.5 + contrast * (raw / 255 - 0.5)).astype(np.float32)
        print(f"\n{kind} responsibilities, the highest of a face {highest(x):.3f} on average")
        compare(x, args.repeats)
    x = (raw / 255).astype(np.float32)
    print(
        f"\n7 classes x K = {STUDY_SIZES}, 10 iterations: "
        f"{seconds(lambda: study(x)):.1f} s, one call"
    )
    peak = peak_kib()
    print(f"peak memory of all this {peak >> 10} MiB, of which the points are {x.nbytes >> 20}")
    for n in (N, 4 * N, 16 * N):
        size = n * SIDE * SIDE * 4 >> 20
        print(f"one fit of {n} points ({size} MiB) takes {memory_of_a_fit(n)} MiB beside them")


def highest(x: np.ndarray) -> float:
    """Return the mean over the points of their highest responsibility after the fit."""
    fit: gmm.Fit = contenders(x)["one fit"](x)  # type: ignore[assignment]
    return float(fit.mixture.predict_proba(torch.from_numpy(x)).amax(-1).mean())


def compare(x: np.ndarray, repeats: int) -> None:
    """Print the times of all programs on some points, and their ratios."""
    runs = contenders(x)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(functools.partial(run, x)))
    took = {name: statistics.median(values) for name, values in times.items()}
    best = {name: min(values) for name, values in times.items()}
    for figures in (took, best):
        figures["NumPy loop"] = figures.pop("NumPy loop, 2 iterations") * ITERATIONS / 2
        figures["ten fits, each"] = figures["ten fits"] / FITS

    flops = 4 * 2 * x.size * K * ITERATIONS
    print(
        f"{len(x)} x {x.shape[1]} float32, diag, K = {K}, {ITERATIONS} iterations, {repeats} rounds"
    )
    print(f"{'':16} {'median s':>9} {'least s':>9} {'GFLOP/s':>8}  as fast as scikit-learn, NumPy")
    for name, median in took.items():
        rate = flops * (FITS if name == "ten fits" else 1) / median / 1e9
        ratios = f"{took['scikit-learn'] / median:6.1f} x {took['NumPy loop'] / median:6.1f} x"
        print(f"{name:16} {median:9.3f} {best[name]:9.3f} {rate:8.0f}  {ratios}")


if __name__ == "__main__":
    main()
