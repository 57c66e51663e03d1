"""The inner loops of EM on the CPU, compiled by numba when first needed and kept on disk.

In come arrays of points and the natural parameters of components, out go sums over the points or
values for each, from one pass that keeps nothing of a point: see `passes.Components`. `narrow` is
that pass for up to hundreds of features, `wide` for thousands without correlations. To keep all
digits, and for full covariances of many features, points are whitened: see `whitened_passes`, with
`whitened` and `large`. `softmax` is what all do in between, `blas`, `lapack` and `threads` are what
they run on. numba is imported with the first pass.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

__all__ = [
    "EVIDENCE",
    "JOINT",
    "LARGE",
    "LENGTH",
    "LIKELIEST",
    "NONE",
    "PAIRS",
    "RESPONSIBILITIES",
    "SQUARES",
    "SUMS",
    "SUMS_OF_LIKELIEST",
    "n_statistics",
    "ready_for_passes",
    "use_kernels",
]

# Which products of features are statistics of a point, beside the features and 1: none, the squared
# length, the squares, or all products of two.
NONE, LENGTH, SQUARES, PAIRS = 0, 1, 2, 3
# What a pass is asked for: sums weighted by responsibilities, or of the points for which a
# component is the likeliest; or numbers of every point.
SUMS, SUMS_OF_LIKELIEST, JOINT, RESPONSIBILITIES, EVIDENCE, LIKELIEST = 0, 1, 2, 3, 4, 5

LARGE = 384  # features from which on full covariances are worked on as whole matrices
DEVICES = ("cpu",)  # types of devices that the kernels are for


def n_statistics(products: int, D: int) -> int:
    """Return the number of statistics of a point of D features, F."""
    return D + 1 + {NONE: 0, LENGTH: 1, SQUARES: D, PAIRS: D * (D + 1) // 2}[products]


def use_kernels(device: torch.device) -> bool:
    """Return whether points on a device are worked on by compiled loops."""
    return device.type in DEVICES


def ready_for_passes(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which many passes over points on a device begin without delay."""
    if not use_kernels(device):
        return nullcontext()
    from gmm.kernels.threads import one_thread_each

    return one_thread_each()
