"""Bare loops on all cores at once, a process each, by joblib."""

import functools
import os
import time

import torch
from joblib import Parallel, delayed

from benchmarks import bare_loop
from benchmarks.faces import SomeFaces
from benchmarks.networks import NETWORKS
from fer_lightning.data.faces import FaceSplits


def epoch_seconds(model: str, n_faces: int, n_models: int, epochs: int) -> list[float]:
    """Train all models at once with joblib; return the mean seconds of an epoch of all of them.

    Returns:
        Two values, as of other contenders: one that also starts the processes, and one that counts.
    """
    with Parallel(n_jobs=os.cpu_count()) as workers:
        return [
            _seconds(workers, model, n_faces, n_models, 1),
            _seconds(workers, model, n_faces, n_models, epochs) / epochs,
        ]


def _seconds(workers: Parallel, model: str, n_faces: int, n_models: int, epochs: int) -> float:
    begin = time.perf_counter()
    workers(delayed(_train)(model, n_faces, epochs) for _ in range(n_models))
    return time.perf_counter() - begin


def _train(model: str, n_faces: int, epochs: int) -> None:
    torch.set_num_threads(1)
    network, lr = NETWORKS[model]
    splits = _splits(n_faces)
    sgd = functools.partial(torch.optim.SGD, lr=lr)
    bare_loop.epoch_seconds(network().layers, splits, 100, epochs, sgd, model == "cnn")


@functools.cache
def _splits(n_faces: int) -> FaceSplits:
    """Return the faces, read once in each process."""
    return SomeFaces(n_faces).read()
