"""An exported file beside the library: how far they differ, and how fast it is."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gmm.exporting.graphs import Graph
from gmm.exporting.onnx_file import required
from gmm.mixtures.mixture import Mixture

BATCH = 64
ROUNDS, SECONDS = 5, 0.3

Run = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        n: How many points both saw.
        density: Greatest difference of two log densities, in nats.
        probability: Greatest difference of two responsibilities, or of two probabilities.
        same: Share of the points of which both give the same answer.
        per_second: Points a second, one at a time and 64 at once, in the median of five rounds.
    """

    n: int
    density: float
    probability: float
    same: float
    per_second: tuple[float, float]


def check(
    path: Path, graph: Graph, inputs: Tensor, mixture: Mixture, x: Tensor, log_prior: Tensor | None
) -> Check:
    """Compare a file with the mixture that it was made of, which calculates in float64.

    Args:
        path: The file.
        graph: What it was made of.
        inputs: What it is given, (N, ...).
        mixture: Of batch shape () or (C,).
        x: The same as points, (N, D).
        log_prior: (C,), for a mixture per class.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    run = runner(path, graph)
    images = inputs.numpy()
    parts = zip(*(run(images[i : i + BATCH]) for i in range(0, len(images), BATCH)), strict=True)
    density, log_posterior, answer = (torch.from_numpy(np.concatenate(part)) for part in parts)
    exact, posterior = _by_library(mixture.to(torch.float64), x.double(), log_prior)
    return Check(
        len(images),
        float((density - exact).abs().max()),
        float((log_posterior.double().exp() - posterior).abs().max()),
        float((answer == posterior.argmax(-1)).double().mean()),
        (_rate(run, images[:1]), _rate(run, images[:BATCH])),
    )


def runner(path: Path, graph: Graph) -> Run:
    """Return what runs a file, as its users will."""
    (onnxruntime,) = required("onnxruntime")
    session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(list(graph.outputs), {graph.input: inputs})


def _by_library(mixture: Mixture, x: Tensor, log_prior: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return log densities and the responsibilities, or log p(x, c) and p(c | x)."""
    log_prob = mixture.score_samples(x)
    if log_prior is None:
        return log_prob, mixture.predict_proba(x)
    joint = log_prob.mT + log_prior
    return joint, joint.softmax(-1)


def _rate(run: Run, inputs: np.ndarray) -> float:
    """Return how many points a second go through, in the median of some rounds."""
    run(inputs)
    rates = []
    for _ in range(ROUNDS):
        began, n = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            run(inputs)
            n += len(inputs)
        rates.append(n / (time.perf_counter() - began))
    return float(np.median(rates))
