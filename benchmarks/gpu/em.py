"""EM on a GPU, against what the device can do and against scikit-learn on it and on the CPU.

The time of an iteration is that of a fit with twice the iterations less that of a fit, so that what
a fit needs once does not count. All begin at the same parameters, and must agree after a few
iterations.
"""

import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import exp, log
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

import gmm
from benchmarks.em import synthetic_faces
from benchmarks.gpu.cells import Cell, Part, seconds_of
from benchmarks.gpu.device import rates
from gmm.points import open_points
from gmm.structures import structure

REG_COVAR = 1e-3
CHECKED = 5  # iterations after which results must agree
TYPES = ("diag", "spherical", "tied", "full")
# How far they may be apart, relative to the size of what is compared.
NEAR = {"float32": (1e-4, 5e-3), "float64": (1e-9, 1e-6)}


@dataclass(frozen=True)
class Size:
    """N points of D features, K components, R restarts at once, in 32 or 64 bits."""

    N: int
    D: int
    K: int
    R: int
    covariances: str
    dtype: str

    @property
    def torch_dtype(self) -> torch.dtype:
        made: torch.dtype = getattr(torch, self.dtype)
        return made

    def flops(self) -> float:
        """Return the operations of an iteration: its products, and the factors of matrices."""
        N, D, K, R = self.N, self.D, self.K, self.R
        return {
            "diag": 8.0 * N * D * K * R,
            "spherical": 4.0 * N * D * K * R,
            "tied": R * (2.0 * N * D * D + 4.0 * N * D * K + D**3),
            "full": R * K * (4.0 * N * D * D + D**3),
        }[self.covariances]

    def bytes(self) -> int:
        """Return what must be read: the points, once, as they are given."""
        return self.N * self.D * self.torch_dtype.itemsize


def sizes() -> list[Size]:
    """Return all sizes, the most telling first."""
    wide, many, most = (3374, 2304), (100_000, 30, 30, 1), (1_000_000, 10, 10, 1)
    ways = [(c, "float32") for c in TYPES] + [(c, "float64") for c in TYPES]
    made = [Size(*wide, 7, 1, "diag", "float32"), Size(*wide, 7, 100, "diag", "float32")]
    for c, dtype in ways:
        made += [Size(*many, c, dtype), Size(*most, c, dtype)]
    made += [Size(*wide, 7, 1, c, "float64") for c in ("full", "tied")]
    for K, R in ((7, 1), (7, 100), (35, 100), (35, 1)):
        made += [Size(*wide, K, R, c, d) for c, d in ways if c in ("diag", "spherical")]
    made += [Size(*wide, 7, 1, c, "float32") for c in ("full", "tied")]
    made += [Size(*wide, 35, 1, "tied", d) for d in ("float32", "float64")]
    return list(dict.fromkeys(made))


def measure(part: Part) -> None:
    """Measure all sizes, and tell how the ratios are on the whole."""
    warnings.simplefilter("ignore")
    contest = Contest(part)
    for size in dict.fromkeys(map(toy, sizes())) if part.is_toy else sizes():
        part.measure(asdict(size), partial(contest.cell, size))
    for c in ("tied", "full"):
        names = {"N": 3374, "D": 2304, "K": 7, "R": 100, "covariances": c}
        need = 3 * 8 * 100 * (7 if c == "full" else 1) * 2304**2 / 2**30
        part.note(names, f"matrices of 100 restarts would take {need:.0f} GiB")
    for name in ("sklearn cuda / ours", "sklearn cpu / ours"):
        part.add({"all": name}, overall(part.of("em"), name))


def toy(size: Size) -> Size:
    """Return the size with few points and features."""
    D = min(size.D, 40)
    return Size(min(size.N, 300), D, min(size.K, 4), min(size.R, 3), size.covariances, size.dtype)


def overall(cells: Sequence[Cell], name: str) -> Cell:
    """Return the geometric mean and the least of a ratio over all sizes."""
    ratios = [cell[name] for cell in cells if cell.get(name)]
    if not ratios:
        return {"cells": 0}
    mean = exp(statistics.fmean(map(log, ratios)))
    return {"cells": len(ratios), "geometric mean": mean, "least": min(ratios)}


class Contest:
    """The contenders on all sizes, and the points that they share."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.rates = rates(part)
        self.wanted = 0.002 if part.is_toy else 0.05
        self._points: dict[tuple[int, int, int], Tensor] = {}
        self._alone: dict[Size, tuple[float | None, float | None]] = {}

    def cell(self, size: Size) -> Cell:
        """Return the times of an iteration by all, the roofline, and the ratios."""
        x = self.points(size).to(self.part.device, size.torch_dtype)
        start = starts(x, size)
        state = graph_of(x, start)
        fit = partial(ours, x, start)
        per_iteration, whole = by_difference(fit, self.wanted)
        figures: Cell = {"ms": 1e3 * per_iteration, "a fit of 50, ms": 1e3 * whole}
        figures |= self.roofline(size, per_iteration) | {"graph": state}
        one = Size(size.N, size.D, size.K, 1, size.covariances, size.dtype)
        if one not in self._alone:
            self._alone[one] = self.sklearn_times(one, x, starts(x, one), figures)
        on_gpu, on_cpu = self._alone[one]
        for name, took in (("sklearn cuda", on_gpu), ("sklearn cpu", on_cpu)):
            figures[f"{name}, ms"] = 1e3 * took * size.R if took else None
            figures[f"{name} / ours"] = took * size.R / per_iteration if took else None
        return figures

    def points(self, size: Size) -> Tensor:
        """Return the points of a size in float64, on the CPU: soft faces, or overlapping blobs."""
        key = (size.N, size.D, size.K)
        if key not in self._points:
            made = faces(size.N, size.D) if size.D > 30 else blobs(size.N, size.D, size.K)
            self._points = {key: made}  # those of the last size only
        return self._points[key]

    def roofline(self, size: Size, seconds: float) -> Cell:
        """Return the least time of an iteration, and which share of its own time that is.

        The rate is that of float64, in which points are worked on where that is as fast.
        """
        if "memory, read and written" not in self.rates:
            return {}
        rate = self.rates["GEMM, float64"] * 1e12
        of_products = size.flops() / rate
        of_memory = size.bytes() / (self.rates["memory, read and written"] * 1e9)
        least = max(of_products, of_memory)
        return {"roofline, ms": 1e3 * least, "share": least / seconds}

    def sklearn_times(
        self, size: Size, x: Tensor, start: gmm.Mixture, figures: Cell
    ) -> tuple[float | None, float | None]:
        """Return scikit-learn's seconds of an iteration on the device and on the CPU.

        What it finds on the device must be what we find; a failure of its own is noted.
        """
        on_device: float | None = None
        try:
            with sklearn.config_context(array_api_dispatch=True):
                fit = partial(theirs, x, start)
                found = fit(CHECKED)
                on_device, _ = by_difference(fit, self.wanted)
        except Exception as error:
            figures["sklearn"] = f"{type(error).__name__}: {error}"[:120]
        else:
            agree(found, ours(x, start, CHECKED), size.dtype)
        return on_device, self._on_cpu(size, x, start)

    def _on_cpu(self, size: Size, x: Tensor, start: gmm.Mixture) -> float | None:
        """Return the time on the CPU, or None where one iteration takes over a second."""
        if size.dtype == "float64" or (size.covariances == "full" and size.D > 1000):
            return None  # float32 is its faster one
        fit = partial(theirs, x.cpu().numpy(), start)
        try:
            first = seconds_of(lambda: fit(1))
        except ValueError:  # float32 is not enough for its covariances
            return None
        if self.part.is_toy or first > 1:
            return first if self.part.is_toy else None
        return max(seconds_of(lambda: fit(3)) - first, 1e-6) / 2


def graph_of(x: Tensor, start: gmm.Mixture) -> bool:
    """Return whether the iterations of this fit are launched as a CUDA graph."""
    from gmm.em_state import EMState

    points, _ = open_points(x, row_numbers=start.row_numbers, wide=start.structure.on_diagonal)
    state = EMState(points, start.flatten(0), REG_COVAR, 0.0, 0.0)
    for _ in range(2):
        state.step()
    return state.is_captured


def ours(x: Tensor, start: gmm.Mixture, n: int) -> gmm.Fit:
    """Fit by n iterations of this project."""
    return gmm.fit_em(x, start, max_iter=n, tol=0, reg_covar=REG_COVAR)


def theirs(x: Any, start: gmm.Mixture, n: int) -> GaussianMixture:
    """Fit by n iterations of scikit-learn, from the first of the starts, where x is."""
    first = start[0]
    kind = structure(start.covariance_type)
    given: list[Any] = [first.weights, first.means, kind.inverse(first.covariances)]
    if isinstance(x, np.ndarray):
        given = [t.cpu().numpy() for t in given]
    model = GaussianMixture(
        first.weights.shape[-1],
        covariance_type=start.covariance_type,
        tol=0,
        max_iter=n,
        reg_covar=REG_COVAR,
        init_params="random",
        weights_init=given[0],
        means_init=given[1],
        precisions_init=given[2],
        random_state=0,
    )
    return model.fit(x)


def agree(found: GaussianMixture, fit: gmm.Fit, dtype: str) -> None:
    """Raise an error unless both have found the same mixture."""
    near, near_means = NEAR[dtype]
    theirs, ours = float(found.lower_bound_), float(fit.final_log_likelihood.flatten()[0])
    if abs(theirs - ours) > near * max(1.0, abs(theirs)):
        raise ArithmeticError(f"log-likelihoods differ: scikit-learn {theirs}, ours {ours}")
    a, b = torch.as_tensor(found.means_).double().cpu(), fit.mixture.means[0].double().cpu()
    error = float((a - b).norm() / b.norm())
    if error > near_means:
        raise ArithmeticError(f"means differ by {error:.1e}")


def by_difference(fit: Callable[[int], object], wanted: float) -> tuple[float, float]:
    """Return the seconds of an iteration, and of a fit of 50 iterations.

    Args:
        fit: Fits by so many iterations.
        wanted: Seconds that the difference of the two fits should take.
    """
    fit(2)
    few = seconds_of(lambda: fit(2))
    guess = max((seconds_of(lambda: fit(8)) - few) / 6, 2e-5)
    n = int(min(max(wanted / guess, 3), 400))
    each = []
    for _ in range(3):
        short, long = seconds_of(lambda: fit(n)), seconds_of(lambda: fit(2 * n))
        each.append(max(long - short, 1e-9) / n)
    per_iteration = statistics.median(each)
    whole = seconds_of(lambda: fit(50)) if guess < 0.01 else few + 48 * per_iteration
    return per_iteration, whole


def starts(x: Tensor, size: Size) -> gmm.Mixture:
    """Return R mixtures to begin with: points as means, and the variances of the points."""
    generator = torch.Generator().manual_seed(1)
    draws = [torch.randperm(len(x), generator=generator)[: size.K] for _ in range(size.R)]
    means = x[torch.stack(draws).to(x.device)]
    weights = torch.full((size.R, size.K), 1 / size.K, dtype=x.dtype, device=x.device)
    variances = (x.var(0) + REG_COVAR).expand(size.R, size.K, -1)
    covariances = structure(size.covariances).from_variances(variances)
    return gmm.Mixture(weights.log(), means, covariances.contiguous(), size.covariances)


def faces(N: int, D: int) -> Tensor:
    """Return faces of so little contrast that most belong to several components, (N, D)."""
    raw = torch.from_numpy(synthetic_faces(N)[:, :D].copy())
    return 0.5 + 0.03 * (raw.double() / 255 - 0.5)


def blobs(N: int, D: int, K: int) -> Tensor:
    """Return overlapping clusters with correlations of their own, (N, D)."""
    generator = torch.Generator().manual_seed(2)
    centers = 3 * torch.randn(K, D, dtype=torch.float64, generator=generator)
    shapes = torch.randn(K, D, D, dtype=torch.float64, generator=generator) / D**0.5
    label = torch.randint(0, K, (N,), generator=generator)
    x = torch.randn(N, D, dtype=torch.float64, generator=generator)
    for k in range(K):
        rows = label == k
        x[rows] = centers[k] + x[rows] @ (0.5 * shapes[k] + torch.eye(D))
    return x
