"""An exported file beside PyTorch: how far they differ, and how fast it is."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fer_lightning.data import Faces
from fer_lightning.recognition import Loaded, load

Run = Callable[[np.ndarray], np.ndarray]  # from uint8 faces (N, 1, H, H) to logits (N, 7)
BATCH = 64
ROUNDS, SECONDS = 5, 0.3


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        n: How many faces both saw.
        difference: Greatest difference of two logits.
        same: Share of the faces of which both give the same answer.
        accuracy: Share of right answers, of PyTorch and of the file.
        per_second: Faces a second, one at a time and 64 at once, in the median of five rounds.
    """

    n: int
    difference: float
    same: float
    accuracy: tuple[float, float]
    per_second: tuple[float, float]


def runner(path: Path) -> Run:
    """Return what runs an exported file, as its users will."""
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda faces: session.run(["logits"], {"images": faces})[0]
    module = torch.export.load(path).module() if path.suffix == ".pt2" else load(path).network
    return lambda faces: _logits(module, faces)


def _logits(module: torch.nn.Module, faces: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module(torch.from_numpy(faces))[0].numpy()


def check(path: Path, loaded: Loaded, faces: Faces) -> Check:
    """Compare an exported file with the network that it was made of.

    Args:
        path: The file.
        loaded: The network.
        faces: What both see.
    """
    run = runner(path)
    images = faces.images.numpy()
    expected, found = (_of_all(each, images) for each in (_torch(loaded), run))
    labels = faces.labels.numpy()
    answers = expected.argmax(-1), found.argmax(-1)
    return Check(
        len(images),
        float(np.abs(expected - found).max()),
        float((answers[0] == answers[1]).mean()),
        (float((answers[0] == labels).mean()), float((answers[1] == labels).mean())),
        (_rate(run, images[:1]), _rate(run, images[:BATCH])),
    )


def _torch(loaded: Loaded) -> Run:
    return lambda faces: _logits(loaded.network, faces)


def _of_all(run: Run, images: np.ndarray) -> np.ndarray:
    parts = [run(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    return np.concatenate(parts)


def _rate(run: Run, images: np.ndarray) -> float:
    """Return how many faces a second go through, in the median of some rounds."""
    run(images)
    rates = []
    for _ in range(ROUNDS):
        began, n = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            run(images)
            n += len(images)
        rates.append(n / (time.perf_counter() - began))
    return float(np.median(rates))
