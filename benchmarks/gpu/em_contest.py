"""EM against what the device can do and against scikit-learn, at one size.

The time of an iteration is that of a fit with twice the iterations less that of a fit, so that what
a fit needs once does not count. All begin at the same parameters, and must agree after a few
iterations.
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

import gmm
from benchmarks.gpu.cells import Cell, Part, in_ms, seconds_of
from benchmarks.gpu.device import rates
from benchmarks.gpu.em_sizes import REG_COVAR, Size, blobs, faces, starts
from gmm.points import open_points
from gmm.structures import structure

NOISE = "not measured: the difference of two fits is noise"
CHECKED = 5  # iterations after which results must agree
# How far they may be apart, relative to the size of what is compared.
NEAR = {"float32": (1e-4, 5e-3), "float64": (1e-9, 1e-6)}


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
        each, whole = by_difference(fit, self.wanted)
        per_iteration = statistics.median(each)
        figures = in_ms("ms", each) | {"a fit of 50, ms": 1e3 * whole}
        figures |= {"graph": state}
        figures |= self.roofline(size, per_iteration) if per_iteration > 0 else {"note": NOISE}
        one = Size(size.N, size.D, size.K, 1, size.covariances, size.dtype)
        if size.R > 1:
            alone = ours(x, starts(x, one), CHECKED)
            agree_with_one(ours(x, start, CHECKED), alone, size.dtype)
        if one not in self._alone:
            self._alone[one] = self.sklearn_times(one, x, starts(x, one), figures)
        on_gpu, on_cpu = self._alone[one]
        for name, took in (("sklearn cuda", on_gpu), ("sklearn cpu", on_cpu)):
            figures[f"{name}, ms"] = 1e3 * took * size.R if took else None
            known = took if per_iteration > 0 else None
            figures[f"{name} / ours"] = known * size.R / per_iteration if known else None
        return figures

    def points(self, size: Size) -> Tensor:
        """Return the points of a size in float64, on the CPU: soft faces, or overlapping blobs."""
        key = (size.N, size.D, size.K if size.D <= 30 else 0)  # faces do not depend on K
        if key not in self._points:
            made = faces(size.N, size.D) if size.D > 30 else blobs(size.N, size.D, size.K)
            self._points[key] = made
        return self._points[key]

    def roofline(self, size: Size, seconds: float) -> Cell:
        """Return the least time of an iteration, and which share of its own time that is.

        The rate is that of float64, in which points are worked on where that is as fast; the
        time at the rate of float32 is told beside it.
        """
        needed = {"memory, read and written", "GEMM, float64", "GEMM, float32"}
        if not needed <= self.rates.keys():
            return {}
        rate = self.rates["GEMM, float64"] * 1e12
        of_products = size.flops() / rate
        of_memory = size.bytes() / (self.rates["memory, read and written"] * 1e9)
        least = max(of_products, of_memory)
        at_float32 = size.flops() / (self.rates["GEMM, float32"] * 1e12)
        return {
            "roofline, ms": 1e3 * least,
            "share": least / seconds,
            "at float32, ms": 1e3 * max(at_float32, of_memory),
        }

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
                took = statistics.median(by_difference(fit, self.wanted)[0])
                on_device = took if took > 0 else None
                if took <= 0:
                    figures["sklearn"] = NOISE
        except Exception as error:  # theirs, of whatever kind: ours is measured all the same
            figures["sklearn"] = f"{type(error).__name__}: {error}"[:120]
        else:
            agree(found, ours(x, start, CHECKED), size.dtype)
        return on_device, self._on_cpu(size, x, start, figures)

    def _on_cpu(self, size: Size, x: Tensor, start: gmm.Mixture, figures: Cell) -> float | None:
        """Return the time on the CPU; None, and why in the figures, where it is not measured."""
        if size.dtype == "float64":
            figures["sklearn cpu"] = "not measured: float32 is the faster"
            return None
        if size.covariances == "full" and size.D > 1000:
            figures["sklearn cpu"] = "not measured: too slow"
            return None
        fit = partial(theirs, x.cpu().numpy(), start)
        try:
            first = seconds_of(lambda: fit(1))
        except ValueError:  # float32 is not enough for its covariances
            figures["sklearn cpu"] = "not measured: covariances fail in float32"
            return None
        if self.part.is_toy:
            return first
        if first > 1:
            figures["sklearn cpu"] = f"not measured: an iteration takes {first:.1f} s"
            return None
        return max(seconds_of(lambda: fit(3)) - first, 1e-6) / 2


def graph_of(x: Tensor, start: gmm.Mixture) -> bool:
    """Return whether the iterations of this fit are launched as a CUDA graph."""
    from gmm.fitting.em_state import EMState

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
    """Raise an error unless scikit-learn has found the first of our mixtures."""
    compare(
        *(float(found.lower_bound_), torch.as_tensor(found.means_)),
        *(float(fit.final_log_likelihood.flatten()[0]), fit.mixture.means[0]),
        dtype,
    )


def agree_with_one(fit: gmm.Fit, alone: gmm.Fit, dtype: str) -> None:
    """Raise an error unless the first of many restarts is what it is by itself."""
    compare(
        *(float(alone.final_log_likelihood.flatten()[0]), alone.mixture.means[0]),
        *(float(fit.final_log_likelihood.flatten()[0]), fit.mixture.means[0]),
        dtype,
    )


def compare(
    expected: float, expected_means: Tensor, got: float, got_means: Tensor, dtype: str
) -> None:
    """Raise an error unless log-likelihoods and means agree, relative to their size."""
    near, near_means = NEAR[dtype]
    if not abs(expected - got) <= near * max(1.0, abs(expected)):
        raise ArithmeticError(f"log-likelihoods differ: expected {expected}, ours {got}")
    a, b = expected_means.double().cpu(), got_means.double().cpu()
    error = float((a - b).norm() / b.norm())
    if not error <= near_means:
        raise ArithmeticError(f"means differ by {error:.1e}")


def by_difference(fit: Callable[[int], object], wanted: float) -> tuple[list[float], float]:
    """Return the seconds of an iteration, three times, and of a fit of 50 iterations.

    The difference of two fits may come out below zero where it is smaller than the noise.

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
        each.append((long - short) / n)
    per_iteration = statistics.median(each)
    whole = seconds_of(lambda: fit(50)) if guess < 0.01 else few + 48 * per_iteration
    return each, whole
