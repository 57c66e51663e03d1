import time

import torch

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused import cost as probing, engine
from fer_lightning.fused.cost import fused_cost
from fer_lightning.fused.engine import Member
from fer_lightning.fused.native.epochs import NativeEpochs
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optimizers import SGD


def four_members(network=lambda: MLP((4,))):
    images = torch.zeros(8, 1, 48, 48, dtype=torch.uint8)
    index = torch.arange(8)
    faces = Faces(images, index % 7, index, index)
    shared = FaceSplits(faces, faces, faces)
    return [Member(network(), SGD(0.1), shared, seed=0) for _ in range(4)]


def test_the_cost_is_the_time_of_all_over_that_of_each(monkeypatch):
    monkeypatch.setattr(probing, "_SECONDS", 0)
    members = four_members()
    weights = [m.network.layers[1].weight.detach().clone() for m in members]

    train_each = probing._train_each

    def slow(members, batch_size):
        assert torch.get_num_threads() == 1
        train_each(members, batch_size)
        time.sleep(0.08)

    def together(*_):
        time.sleep({1: 0.16, 2: 0.1}[torch.get_num_threads()])

    monkeypatch.setattr(engine.FusedTraining, "train_epoch", together)
    monkeypatch.setattr(probing, "_train_each", slow)
    cost = fused_cost(members, 32, threads=[2, 1], alone=1)
    assert 1.0 < cost.share < 1.3  # 0.1 / 0.08
    assert cost.threads == 2
    for member, weight in zip(members, weights, strict=True):
        assert (member.network.layers[1].weight == weight).all()


def test_models_of_few_faces_are_trained_each_by_the_loops_that_train_all(monkeypatch):
    monkeypatch.setattr(probing, "_SECONDS", 0)
    monkeypatch.setattr(probing, "_train_each", None)
    sizes = []
    train = NativeEpochs.__call__

    def counted(self):
        sizes.append(len(self._network))
        return train(self)

    monkeypatch.setattr(NativeEpochs, "__call__", counted)
    fused_cost(four_members(), 1, threads=[1], alone=1)
    assert set(sizes) == {1, 4}


def test_a_cnn_alone_is_trained_as_its_run_would_be(monkeypatch):
    # by compiled loops on one core, or by PyTorch where a run has many cores for many faces
    monkeypatch.setattr(probing, "_SECONDS", 0)
    by_pytorch = []
    monkeypatch.setattr(probing, "_train_each", lambda *_: by_pytorch.append(True))
    before = torch.get_num_threads()
    try:
        fused_cost(four_members(lambda: CNN((2,))), 11, threads=[1], alone=2)
        assert not by_pytorch
        fused_cost(four_members(lambda: CNN((2,))), 11, threads=[1], alone=3)
        assert by_pytorch
    finally:
        torch.set_num_threads(before)
