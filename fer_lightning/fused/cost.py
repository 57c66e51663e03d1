"""What training together costs on this machine: memory as counted, time as measured."""

import copy
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_lightning.data import CLASSES, EVALUATION_BATCH, SIZE, Faces, FaceSplits, in_order
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.training import AdamW, ExpressionClassifier

_SHARE = 0.5


def free_bytes(device: torch.device) -> int:
    """Return half of the memory that is free now on a device."""
    if device.type == "cuda":
        return int(_SHARE * torch.cuda.mem_get_info(device)[0])
    return int(_SHARE * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def bytes_of_model(model: ExpressionClassifier, batch_size: int) -> int:
    """Return an estimate of the memory that one model takes in a fused training, in bytes.

    It counts the weights, their gradients, the optimiser's state, the best weights so far and a
    copy while they are saved; and twice the activations of a minibatch.
    """
    n_state = 2 if isinstance(model.optimizer, AdamW) else 1
    n_weights = sum(p.numel() for p in model.parameters())
    batch = max(batch_size, EVALUATION_BATCH)
    side = model.settings.get("image_size", SIZE)
    numbers = (4 + n_state) * n_weights + 2 * batch * _passed_on(model.network, side)
    return numbers * next(model.parameters()).element_size()


@torch.no_grad()
def _passed_on(network: nn.Module, side: int) -> int:
    """Return the number of activations of a network for one face, its pixels included."""
    first = next(network.parameters())
    x: Tensor = torch.zeros(1, 1, side, side, dtype=first.dtype, device=first.device)
    total = x.numel()
    assert isinstance(network.layers, nn.Sequential)
    for layer in network.layers:
        x = layer(x)
        total += x.numel()
    return total


_MODELS, _STEPS, _FACES, _TRIES, _SECONDS = 8, 4, 64, 3, 1.0


@dataclass(frozen=True)
class Cost:
    """What training together costs.

    Attributes:
        share: Time of a step of all models at once, divided by that of a step of each in turn.
        threads: Number of threads with which the step of all is so fast.
    """

    share: float
    threads: int


def fused_cost(
    members: Sequence[Member], batch_size: int, threads: Sequence[int], alone: int
) -> Cost:
    """Measure the cost of a step of all models at once, with the best number of threads.

    It is measured with copies of the first few models on faces of noise. The fastest try counts,
    of at least three tries that last at least a second.

    Args:
        members: As in `FusedTraining`.
        batch_size: Faces per minibatch.
        threads: Numbers to choose from. Where other processes take some of the cores, one thread
            can be many times as fast as all.
        alone: Threads of each model that is trained by itself.
    """
    noise: dict[tuple[int, int], FaceSplits] = {}
    few = []
    for member in members[:_MODELS]:
        n_faces = max(_STEPS * batch_size, _FACES)
        faces = noise.setdefault(member.order, _noise(n_faces, member))
        few.append(Member(copy.deepcopy(member.network), member.optimizer, faces, member.seed))
    training = FusedTraining(few, batch_size)
    training.use_graphs = True
    by_itself = _each_by_itself(few, batch_size, alone)
    took: dict[int, list[float]] = {n: [] for n in threads}
    each: list[float] = []
    began = time.perf_counter()
    # the first one warms up
    while len(each) <= _TRIES or time.perf_counter() - began < _SECONDS:
        for n in threads:
            took[n].append(_seconds(lambda: training.train_epoch(0), n))
        each.append(_seconds(by_itself, alone))
    least = {n: min(times[1:]) for n, times in took.items()}
    best = min(least, key=lambda n: least[n])
    return Cost(least[best] / min(each[1:]), best)


def _each_by_itself(members: Sequence[Member], batch_size: int, threads: int) -> Callable[[], None]:
    """Return a function that trains each model for an epoch as a run of its own does.

    That is with CUDA graphs on a GPU and in compiled loops where they pay; elsewhere a plain loop
    stands for Lightning's.
    """
    trainings = [FusedTraining([member], batch_size) for member in members]
    native = trainings[0].native
    by_loops = native is not None and native.pay_alone(members[0].network, batch_size, threads)
    if not by_loops and not members[0].splits.train.labels.is_cuda:
        return lambda: _train_each(members, batch_size)
    for training in trainings:
        training.use_graphs = True

    def train_each() -> None:
        for training in trainings:
            training.train_epoch(0)

    return train_each


def _train_each(members: Sequence[Member], batch_size: int) -> None:
    """Train each model by itself for an epoch, on the CPU."""
    for member in members:
        optimizer = member.optimizer(member.network.parameters())
        for images, labels in in_order(member.splits.train, batch_size):
            dtype = next(member.network.parameters()).dtype
            loss = F.cross_entropy(member.network(images.to(dtype).div_(255)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _seconds(epoch: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    epoch()
    return time.perf_counter() - begin


def _noise(n: int, member: Member) -> FaceSplits:
    generator = torch.Generator().manual_seed(0)
    shape = (n, *member.splits.train.images.shape[1:])
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, len(CLASSES), (n,), generator=generator)
    faces = Faces(images, labels, labels, labels).to(member.splits.train.labels.device)
    return FaceSplits(faces, faces, faces)


def waves(jobs: Sequence[tuple[int, object]], n_fitting: int) -> Iterator[list[int]]:
    """Divide jobs into waves of at most n_fitting; jobs of one order stay together if they fit.

    Args:
        jobs: Each with its order of minibatches; jobs of one order are adjacent.
        n_fitting: The most that are trained at once.
    """
    wave: list[int] = []
    for _, sharing in groupby(jobs, key=itemgetter(1)):
        order = [job for job, _ in sharing]
        if len(wave) + len(order) > n_fitting and wave:
            yield wave
            wave = []
        while len(order) > n_fitting:
            yield order[:n_fitting]
            order = order[n_fitting:]
        wave += order
    if wave:
        yield wave
