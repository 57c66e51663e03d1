"""That a step of the fused training waits for no GPU, seen on PyTorch's meta device."""

import pytest
import torch

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused import engine
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD, AdamW
from tests.on_meta import NoTransfers, on_meta

OPTIMIZERS = {
    "sgd": [SGD(0.01), SGD(0.02, 0.5, 0.1, nesterov=True)],
    "adamw": [AdamW(0.001), AdamW(0.01, weight_decay=0.1)],
}


def splits(n: int) -> FaceSplits:
    labels = torch.arange(n) % 7
    images = torch.zeros(n, 1, 48, 48, dtype=torch.uint8)
    faces = Faces(images, labels, labels, labels)
    return FaceSplits(faces, faces, faces)


@pytest.fixture(autouse=True)
def products(monkeypatch):
    """Leave steps to products of tensors, as elsewhere than on a CPU."""
    monkeypatch.setattr(engine, "native_epochs", lambda *_: None)


@pytest.mark.parametrize("network", [MLP, CNN])
@pytest.mark.parametrize("optimizers", OPTIMIZERS)
@pytest.mark.parametrize("sizes", [(12,), (12, 12), (8, 9)], ids=["one", "two", "uneven"])
def test_a_step_waits_for_no_value(network, optimizers, sizes):
    sets = {n: splits(n) for n in sizes}
    its = zip(OPTIMIZERS[optimizers], [sets[n] for n in sizes], strict=False)
    members = [Member(network(), o, faces, seed=0) for o, faces in its]
    on_cpu = FusedTraining(members, batch_size=4)  # of 8 and 9 faces, the last step is for one
    on_cpu.arrange(0)
    elsewhere = on_meta(on_cpu)
    with NoTransfers():
        for minibatch in elsewhere._minibatches:
            logits = elsewhere.step(minibatch)
            assert logits.shape == (len(members), minibatch.rows.shape[1], 7)
        assert elsewhere._validate().shape == (2, len(members))


def test_means_are_waited_for():
    members = [Member(MLP(), SGD(0.1), splits(8), seed=0)]
    with pytest.raises(NotImplementedError, match="meta"):
        on_meta(FusedTraining(members, batch_size=4)).validate()
