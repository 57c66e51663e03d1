"""What training together costs on this machine, as measured."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from fer_lightning.data import CLASSES, Faces, FaceSplits, in_order
from fer_lightning.fused.engine import FusedTraining, Member, sharing
from fer_lightning.fused.optimizers import of_pytorch
from fer_lightning.machine import n_cores, processor

VERSION = 2  # of the measuring; what is remembered of another is not used
_MODELS, _STEPS, _FACES, _TRIES = 8, 4, 64, 3
# A measurement lasts about so long, in seconds, and begins no try that would end after the other.
_ENOUGH, _MOST = 0.8, 1.5
_GROWTH = 4


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

    It is measured with copies of the first few models on faces of noise, in two seconds at most;
    what compiled loops and the libraries of a GPU take until they are there is not counted, as the
    training needs them, too. The first tries are short; they grow up to a few steps on whole
    minibatches if there is time for that. The fastest try counts, of two at least.

    Args:
        members: As in `FusedTraining`.
        batch_size: Faces per minibatch.
        threads: Numbers to choose from. Where other processes take some of the cores, one thread
            can be many times as fast as all.
        alone: Threads of each model that is trained by itself.
    """
    few = _few(members)
    sizes = _sizes(len(few), batch_size)
    on_gpu = few[0].splits.train.labels.is_cuda
    if on_gpu:  # where small steps take as long as large ones
        sizes = sizes[-1:]
    if on_gpu or FusedTraining(few, batch_size).native is not None:
        warm_up = _Size(len(few), batch_size if on_gpu else 1, 1)
        _Tries(few, warm_up, batch_size, threads, alone).go()
    began = time.perf_counter()
    for i, size in enumerate(sizes):
        tries = _Tries(few, size, batch_size, threads, alone)
        growth = sizes[i + 1].work / size.work if size != sizes[-1] else math.inf
        while True:
            tries.go()
            took = time.perf_counter() - began
            if 2 * growth * tries.seconds < _MOST - took:
                break  # as there is time for two tries of the next size
            is_enough = size == sizes[-1] and tries.number > _TRIES and took > _ENOUGH
            is_late = tries.number > 1 and tries.seconds > _MOST - took
            if is_enough or is_late:
                return tries.cost()
    raise AssertionError("the last size has no next")


def decided_by(
    members: Sequence[Member], batch_size: int, threads: Sequence[int], alone: int
) -> str:
    """Return what decides the cost, for the arguments of `fused_cost`, as a line of text."""
    few = _few(members)
    weights = next(few[0].network.parameters())
    device = weights.device
    facts = {
        "version": VERSION,
        "processor": processor(),
        "cores": n_cores(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "layers": " ".join(str(few[0].network.layers).split()),
        "pixels": tuple(few[0].splits.train.images.shape[2:]),
        "dtype": weights.dtype,
        "optimizer": type(few[0].optimizer).__name__,
        "models": len(few),
        "sharing": sharing(members),
        "batch_size": batch_size,
        "threads": tuple(threads),
        "threads_alone": alone,
    }
    return "; ".join(f"{name} {value}" for name, value in facts.items())


def _few(members: Sequence[Member]) -> Sequence[Member]:
    """Return the first models, of which as many share their minibatches as of all."""
    shared = sharing(members)
    return members[: _MODELS - _MODELS % shared if shared < _MODELS else _MODELS]


@dataclass(frozen=True)
class _Size:
    """How much is trained in a try: models, faces of a step of each, and steps."""

    models: int
    faces: int
    steps: int

    @property
    def work(self) -> int:
        return self.models * self.faces * self.steps


def _sizes(n_models: int, batch_size: int) -> list[_Size]:
    """Return the sizes of tries, from the smallest to that which is wanted."""
    faces = [min(_GROWTH, batch_size)]
    while faces[-1] < batch_size:
        faces.append(min(_GROWTH * faces[-1], batch_size))
    steps = max(_STEPS, -(-_FACES // batch_size))
    first, last = _Size(min(2, n_models), faces[0], 1), _Size(n_models, batch_size, steps)
    return [*dict.fromkeys([first, *(_Size(n_models, n, 1) for n in faces), last])]


class _Tries:
    """Seconds of a few steps of copies of models: all at once, and the first by itself.

    Args:
        members: Models, of which some are trained.
        size: How many, and how long.
        batch_size: Faces of their minibatches.
        threads: Numbers of threads of all at once.
        alone: Threads of one by itself.
    """

    def __init__(
        self,
        members: Sequence[Member],
        size: _Size,
        batch_size: int,
        threads: Sequence[int],
        alone: int,
    ) -> None:
        noise, shared = _noise(size.faces * size.steps, members[0]), sharing(members)
        copies = [
            Member(copy.deepcopy(member.network), member.optimizer, noise, m // shared)
            for m, member in enumerate(members[: size.models])
        ]
        # a try on fewer faces is one smaller minibatch, in the loops of whole ones
        all_at_once = _training(copies, batch_size)
        by_itself = _training(copies[:1], batch_size)
        train_one: Callable[[], object] = partial(by_itself.train_epoch, 0)
        native, network = by_itself.native, copies[0].network
        pays = native is not None and native.pay_alone(network, batch_size, alone)
        if not pays and not noise.train.labels.is_cuda:
            train_one = partial(_train_plainly, copies[0], batch_size)
        train_all: Callable[[], object] = partial(all_at_once.train_epoch, 0)
        self._epochs = [*((train_all, n) for n in threads), (train_one, alone)]
        self._took: list[list[float]] = [[] for _ in self._epochs]
        self._size, self._threads = size, threads

    def go(self) -> None:
        """Try each once."""
        for times, (epoch, n_threads) in zip(self._took, self._epochs, strict=True):
            times.append(_seconds(epoch, n_threads))

    @property
    def number(self) -> int:
        return len(self._took[0])

    @property
    def seconds(self) -> float:
        """Return how long all take once, from the fastest try of each; the first warms up."""
        return sum(self._least())

    def cost(self) -> Cost:
        *together, alone = self._least()
        least = min(together)
        return Cost(least / (self._size.models * alone), self._threads[together.index(least)])

    def _least(self) -> list[float]:
        return [min(times[1:] or times) for times in self._took]


def _training(members: Sequence[Member], batch_size: int) -> FusedTraining:
    """Return a training as runs have it, with CUDA graphs on a GPU."""
    training = FusedTraining(members, batch_size)
    training.use_graphs = True
    return training


def _train_plainly(member: Member, batch_size: int) -> None:
    """Train a model by itself for an epoch, on the CPU, by what stands for Lightning's loop."""
    optimizer = of_pytorch(member.optimizer, member.network.parameters())
    dtype = next(member.network.parameters()).dtype
    for images, labels in in_order(member.splits.train, batch_size):
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
