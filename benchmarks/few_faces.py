"""Time of a step of SGD on few faces: compiled loops against products of tensors.

The models are the study's perceptron with momentum, 15 side by side. Microseconds are those of a
model's step with all cores at work. The bound is what it takes to read and write every weight and
every velocity once, over and over, a model on each core: no step can do with less.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numba import njit

from benchmarks.machine import seconds
from benchmarks.results import in_turns, parser, publish
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD

SIZES = (1, 2, 4, 8, 10, 16, 32, 100)
MODELS, STEPS, SIDE = 15, 1000, 48


def noise(n: int) -> FaceSplits:
    """Return n faces of noise, for training and validation."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 1, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    faces = Faces(images, *[torch.randint(0, 7, (n,), generator=generator)] * 3)
    return FaceSplits(faces, faces, faces)


def training(batch_size: int, n_steps: int, by_loops: bool) -> FusedTraining:
    """Return a training of all models on faces of noise, by compiled loops or by products."""
    splits = noise(n_steps * batch_size)
    made = FusedTraining([Member(MLP(), SGD(0.001, 0.9), splits, 0)] * MODELS, batch_size)
    if not by_loops:
        made.native = None
    return made


def _once(weights: Any, velocities: Any, times: int) -> None:
    for _ in range(times):
        for i in range(weights.shape[0]):
            velocities[i] = np.float32(0.9) * velocities[i]
            weights[i] -= velocities[i]


_touch: Any = njit(nogil=True, fastmath=True)(_once)


def bound(times: int) -> float:
    """Return the microseconds that reading and writing all numbers of a model once takes."""
    n_weights = sum(p.numel() for p in MLP().parameters())
    arrays = np.ones((MODELS, 2, n_weights), np.float32)
    _touch(*arrays[0], 1)
    n_threads = torch.get_num_threads()

    def touch_all() -> None:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(lambda of_model: _touch(*of_model, times), arrays))

    return 1e6 * seconds(touch_all) / times / MODELS


def main() -> None:
    """Print the table."""
    args = parser("few_faces", __doc__, 5).parse_args()
    n_steps = 20 if args.quick else STEPS
    rows = []
    for size in SIZES:
        contenders: dict[str, Callable[[], list[float]]] = {"bound": lambda: [bound(n_steps)]}
        for name in ("loops", "products"):
            made = training(size, n_steps, name == "loops")
            made.train_epoch(0)
            contenders[name] = partial(_microseconds, made, n_steps)
        found = in_turns(contenders, args.rounds)
        rows.append({"faces a step": size, **{f"{name}, us": found[name] for name in found}})
    publish(args.json, rows)


def _microseconds(made: FusedTraining, n_steps: int) -> list[float]:
    return [1e6 * seconds(lambda: made.train_epoch(0)) / n_steps / MODELS]


if __name__ == "__main__":
    main()
