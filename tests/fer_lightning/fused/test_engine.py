"""Models trained as one against each model trained alone with PyTorch's own optimisers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.data.minibatches import epoch_order
from fer_lightning.fused import engine
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD, AdamW

EPOCHS, BATCH = 5, 8


@pytest.fixture(autouse=True, params=["products"])
def way(request, monkeypatch):
    """Train by products of tensors, or, where a test asks for both, by compiled loops, too."""
    if request.param == "products":
        monkeypatch.setattr(engine, "native_epochs", lambda *_: None)


BOTH = pytest.mark.parametrize("way", ["products", "loops"], indirect=True)


def faces(n: int, seed: int) -> Faces:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, n)
    pixels = rng.integers(0, 200, (n, 2304)) + 8 * labels[:, None]
    return Faces.from_arrays(pixels.astype(np.uint8), labels)


def splits(n_train: int, n_val: int = 9, seed: int = 0) -> FaceSplits:
    return FaceSplits(faces(n_train, seed), faces(n_val, seed + 50), faces(5, seed + 90))


def member(network, optimizer, its_splits, seed=0, dtype=torch.float64, init=0) -> Member:
    torch.manual_seed(init)
    return Member(network().to(dtype), optimizer, its_splits, seed)


def trained_alone(m: Member) -> tuple[list[list[float]], dict[str, torch.Tensor]]:
    """Curves, a row per epoch of train ce, train acc, val ce, val acc, and the weights."""
    layers = torch.nn.Sequential(*m.network.layers)
    optimizer = m.optimizer(layers.parameters())
    dtype = next(layers.parameters()).dtype
    images, labels = m.splits.train.images.to(dtype) / 255, m.splits.train.labels
    curves = []
    for epoch in range(EPOCHS):
        ce = right = 0.0
        for rows in epoch_order(len(labels), m.seed, epoch).split(BATCH):
            logits = layers(images[rows])
            loss = F.cross_entropy(logits, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            ce += loss.item() * len(rows)
            right += (logits.argmax(1) == labels[rows]).sum().item()
        val = m.splits.val
        logits = layers(val.images.to(dtype) / 255)
        val_ce = F.cross_entropy(logits, val.labels).item()
        val_acc = (logits.argmax(1) == val.labels).double().mean().item()
        curves.append([ce / len(labels), right / len(labels), val_ce, val_acc])
    return curves, dict(m.network.state_dict())


def assert_as_alone(members: list[Member], rtol: float) -> None:
    training = FusedTraining(members, BATCH)
    rows = []
    for epoch in range(EPOCHS):
        train, val = training.train_epoch(epoch), training.validate()
        rows.append(torch.stack([train.ce, train.acc, val.ce, val.acc]).double())
    curves = torch.stack(rows).permute(2, 0, 1).numpy()  # (M, epochs, 4)
    for i, m in enumerate(members):
        expected, weights = trained_alone(m)  # trains the member's network in place
        np.testing.assert_allclose(curves[i], expected, rtol=rtol)
        for name, weight in training.network.state_dict(i).items():
            torch.testing.assert_close(weight, weights[name], rtol=100 * rtol, atol=rtol)


SGDS = [SGD(0.01), SGD(0.05, momentum=0.9), SGD(0.02, 0.5, 0.1), SGD(0.02, 0.5, 0.1, nesterov=True)]
ADAMS = [AdamW(0.001), AdamW(0.01, (0.8, 0.99), 1e-6, 0.1), AdamW(0.003, weight_decay=0.0)]


@BOTH
@pytest.mark.parametrize("network", [MLP, CNN])
@pytest.mark.parametrize("optimizers", [SGDS, SGDS[:1] * 2, ADAMS], ids=["sgd", "plain", "adamw"])
def test_models_that_share_their_minibatches_train_as_alone(network, optimizers):
    shared = splits(30)
    members = [member(network, o, shared, init=i) for i, o in enumerate(optimizers)]
    assert_as_alone(members, rtol=1e-9)


@BOTH
@pytest.mark.parametrize("network", [MLP, CNN])
def test_two_orders_of_two_models_train_as_alone(network):
    shared = splits(30)
    members = [member(network, SGDS[i % 2], shared, seed=i // 2) for i in range(4)]
    assert FusedTraining(members, BATCH).n_shared == 2
    assert_as_alone(members, rtol=1e-9)


@BOTH
@pytest.mark.parametrize("network", [MLP, CNN])
@pytest.mark.parametrize("optimizers", [SGDS, ADAMS], ids=["sgd", "adamw"])
def test_folds_of_other_sizes_train_as_alone(network, optimizers):
    # 32 faces make four steps, 33 five; the last of 30 is short
    sets = [splits(n, n_val, seed=n) for n, n_val in ((32, 9), (33, 8), (30, 10))]
    members = [member(network, optimizers[i % 3], sets[i], seed=i) for i in range(3)]
    assert_as_alone(members, rtol=1e-9)


@BOTH
def test_models_that_stand_in_no_rectangle_train_as_alone():
    shared = splits(30)
    members = [member(MLP, SGDS[1], shared, seed=seed) for seed in (0, 0, 1)]
    assert FusedTraining(members, BATCH).n_shared == 1
    assert_as_alone(members, rtol=1e-9)


@BOTH
@pytest.mark.parametrize("network", [MLP, CNN])
def test_float32_stays_within_1e_4(network):
    shared = splits(30)
    members = [member(network, o, shared, dtype=torch.float32) for o in SGDS[:3]]
    assert_as_alone(members, rtol=1e-4)


@BOTH
def test_a_model_that_diverges_leaves_its_neighbours_alone():
    shared = splits(30)
    wild = member(MLP, SGD(1e300), shared)
    tame = [member(MLP, SGD(0.01), shared, init=i) for i in range(2)]
    training = FusedTraining([tame[0], wild, tame[1]], BATCH)
    alone = FusedTraining(tame, BATCH)
    for epoch in range(EPOCHS):
        together, apart = training.train_epoch(epoch), alone.train_epoch(epoch)
    assert not together.ce[1].isfinite()
    torch.testing.assert_close(together.ce[[0, 2]], apart.ce, rtol=1e-12, atol=0)


@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(0.05, momentum=0.9), AdamW(0.001)])
def test_the_state_of_a_model_is_that_of_its_own_optimiser(optimizer):
    shared = splits(24)
    members = [member(MLP, o, shared) for o in (optimizer, type(optimizer)(0.1))]
    training = FusedTraining(members, BATCH)
    training.train_epoch(0)
    own = members[0].network
    expected = optimizer(own.parameters())
    images, labels = shared.train.images.double() / 255, shared.train.labels
    for rows in epoch_order(24, 0, 0).split(BATCH):
        expected.zero_grad()
        F.cross_entropy(own.layers(images[rows]), labels[rows]).backward()
        expected.step()
    got = training.optimizer.of_model(0, list(training.network.state_dict(0).values()))
    got, expected = got.state_dict(), expected.state_dict()
    assert got["param_groups"] == expected["param_groups"]
    assert got["state"].keys() == expected["state"].keys()
    for i, state in expected["state"].items():
        assert state.keys() == got["state"][i].keys()
        for name, value in state.items():
            if value is not None:
                torch.testing.assert_close(got["state"][i][name], value, rtol=1e-9, atol=1e-12)
