"""Whether training together pays on this machine: it is measured."""

import copy
import time
from collections.abc import Sequence

import torch

from fer_lightning.data.faces import CLASSES, SIZE, Faces, FaceSplits
from fer_lightning.fused.engine import FusedTraining, Member

_MODELS, _STEPS, _TRIES = 8, 4, 3


def fused_cost(members: Sequence[Member], batch_size: int) -> float:
    """Time of a step of all models at once, over that of as many steps of one.

    Measured with copies of the first few models on faces of noise; at best of three tries.

    Args:
        members: As in `FusedTraining`.
        batch_size: Faces a minibatch.
    """
    noise: dict[tuple[int, int], FaceSplits] = {}
    few = []
    for member in members[:_MODELS]:
        faces = noise.setdefault(member.order, _noise(_STEPS * batch_size, member))
        few.append(Member(copy.deepcopy(member.network), member.optimizer, faces, member.seed))
    together, one = FusedTraining(few, batch_size), FusedTraining(few[:1], batch_size)
    seconds: dict[FusedTraining, list[float]] = {together: [], one: []}
    for _ in range(1 + _TRIES):  # the first one warms up
        for training, times in seconds.items():
            times.append(_epoch_seconds(training))
    return min(seconds[together][1:]) / (len(few) * min(seconds[one][1:]))


def _epoch_seconds(training: FusedTraining) -> float:
    begin = time.perf_counter()
    training.train_epoch(0)  # its figures are read back, which waits for a device
    return time.perf_counter() - begin


def _noise(n: int, member: Member) -> FaceSplits:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 1, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, len(CLASSES), (n,), generator=generator)
    faces = Faces(images, labels, labels, labels).to(member.splits.train.labels.device)
    return FaceSplits(faces, faces, faces)
