"""Time that the study's CNN takes for a face in training: compiled loops against PyTorch.

Microseconds of a step of SGD with momentum, divided by its faces and by its models: of 15 models
side by side with all cores at work, by the loops and by products of tensors; and of one model, by
the loops, on one core, and by PyTorch's own modules and optimiser on all cores.
"""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F

from benchmarks.few_faces import MODELS, noise
from benchmarks.machine import seconds
from benchmarks.results import in_turns, parser, publish
from fer_lightning.data.faces import FaceSplits
from fer_lightning.data.minibatches import in_order
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.networks.cnn import CNN
from fer_lightning.training.optim.optimizers import SGD

SIZES = (1, 10, 50, 500, 1000)
FACES = 1000


def fused(splits: FaceSplits, n_models: int, batch_size: int, by_loops: bool) -> FusedTraining:
    """Return a training of models by compiled loops or by products of tensors."""
    members = [Member(CNN(), SGD(0.001, 0.9), splits, 0) for _ in range(n_models)]
    made = FusedTraining(members, batch_size)
    if not by_loops:
        made.native = None
    return made


def by_pytorch(splits: FaceSplits, batch_size: int) -> Callable[[], None]:
    """Return a function that trains one model for an epoch in a plain loop."""
    network = CNN()
    optimizer = SGD(0.001, 0.9)(network.parameters())

    def train_epoch() -> None:
        for images, labels in in_order(splits.train, batch_size):
            loss = F.cross_entropy(network(images.float().div_(255)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train_epoch


def main() -> None:
    """Print the table."""
    args = parser("cnn_steps", __doc__, 3).parse_args()
    n = 20 if args.quick else FACES
    splits = noise(n)
    rows = []
    for size in SIZES:
        many, products = (fused(splits, MODELS, size, by_loops) for by_loops in (True, False))
        one, plain = fused(splits, 1, size, True), by_pytorch(splits, size)
        one.train_epoch(0)  # which compiles the loops
        contenders = {
            "loops, us": _of_a_face(partial(many.train_epoch, 0), n * MODELS),
            "products, us": _of_a_face(partial(products.train_epoch, 0), n * MODELS),
            "loops of one, us": _of_a_face(partial(one.train_epoch, 0), n),
            "PyTorch of one, us": _of_a_face(plain, n),
        }
        rows.append({"faces a step": size, **in_turns(contenders, args.rounds)})
    publish(args.json, rows)


def _of_a_face(train_epoch: Callable[[], object], n: int) -> Callable[[], list[float]]:
    return lambda: [1e6 * seconds(train_epoch) / n]


if __name__ == "__main__":
    main()
