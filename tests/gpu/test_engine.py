"""Many networks trained as one on a GPU, with and without CUDA graphs, against the CPU."""

import pytest
import torch

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused.compiling import Compilation
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD, AdamW
from tests.gpu.device import DEVICE

pytestmark = pytest.mark.gpu

EPOCHS, BATCH = 3, 8
PLAIN = [SGD(0.01), SGD(0.02)]
MOVING = [SGD(0.01), SGD(0.05, momentum=0.9), SGD(0.02, 0.5, 0.1), SGD(0.02, 0.5, nesterov=True)]
ADAMS = [AdamW(0.001), AdamW(0.01, (0.8, 0.99), 1e-6, 0.1), AdamW(0.003, weight_decay=0.0)]


def splits(n: int, seed: int = 0) -> FaceSplits:
    generator = torch.Generator().manual_seed(seed)

    def faces(n: int) -> Faces:
        images = torch.randint(0, 256, (n, 1, 48, 48), dtype=torch.uint8, generator=generator)
        labels = torch.arange(n) % 7
        return Faces(images, labels, labels, labels)

    return FaceSplits(faces(n), faces(10 + seed), faces(7))


def members(network, optimizers, sets, device, dtype=torch.float64):
    """Models in turn with each of the optimisers, as many as there are sets of faces and seeds."""
    there = {id(s): FaceSplits(*(f.to(device) for _, f in s)) for s, _ in sets}
    made = []
    for i, (its_splits, seed) in enumerate(sets):
        torch.manual_seed(i)
        optimizer = optimizers[i % len(optimizers)]
        net = network().to(device, dtype)
        made.append(Member(net, optimizer, there[id(its_splits)], seed))
    return made


def curves(training):
    rows = []
    for epoch in range(EPOCHS):
        train, val = training.train_epoch(epoch), training.validate()
        rows.append(torch.stack([train.ce, train.acc, val.ce, val.acc]))
    return torch.stack(rows)


def assert_as_on_the_cpu(network, optimizers, sets, use_graphs, rtol=1e-9):
    on_cpu = FusedTraining(members(network, optimizers, sets, "cpu"), BATCH)
    on_gpu = FusedTraining(members(network, optimizers, sets, DEVICE), BATCH)
    on_gpu.use_graphs = use_graphs
    torch.testing.assert_close(curves(on_gpu), curves(on_cpu), rtol=rtol, atol=0)
    assert bool(on_gpu.bundles) == (use_graphs and DEVICE == "cuda")
    for a, b in zip(on_gpu.tensors(), on_cpu.tensors(), strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=100 * rtol, atol=rtol)


@pytest.mark.parametrize("use_graphs", [False, True], ids=["launched", "graphs"])
@pytest.mark.parametrize("optimizers", [PLAIN, MOVING, ADAMS], ids=["plain", "moving", "adamw"])
@pytest.mark.parametrize("n_orders", [1, 5], ids=["15", "75"])
def test_mlps_train_as_on_the_cpu(optimizers, n_orders, use_graphs):
    shared = splits(28)  # the last of four minibatches is short
    sets = [(shared, seed) for seed in range(n_orders) for _ in range(15)]
    assert_as_on_the_cpu(MLP, optimizers, sets, use_graphs)


@pytest.mark.parametrize("use_graphs", [False, True], ids=["launched", "graphs"])
@pytest.mark.parametrize("optimizers", [MOVING, ADAMS], ids=["moving", "adamw"])
def test_five_cnns_train_as_on_the_cpu(optimizers, use_graphs):
    shared = splits(28)
    assert_as_on_the_cpu(CNN, optimizers, [(shared, 0)] * 5, use_graphs, rtol=1e-8)


@pytest.mark.parametrize("use_graphs", [False, True], ids=["launched", "graphs"])
@pytest.mark.parametrize("network", [MLP, CNN])
def test_one_network_trains_as_on_the_cpu(network, use_graphs):
    assert_as_on_the_cpu(network, MOVING[1:], [(splits(28), 0)], use_graphs, rtol=1e-8)


@pytest.mark.parametrize("use_graphs", [False, True], ids=["launched", "graphs"])
@pytest.mark.parametrize(
    ("network", "optimizers"), [(MLP, MOVING[1:]), (MLP, ADAMS), (CNN, MOVING[1:])]
)
def test_folds_of_other_sizes_train_as_on_the_cpu(network, optimizers, use_graphs):
    sets = [(splits(n, seed), seed) for seed, n in enumerate((32, 33, 30))]
    assert_as_on_the_cpu(network, optimizers, sets, use_graphs, 1e-9 if network is MLP else 1e-8)


def test_an_epoch_of_many_bundles_trains_as_on_the_cpu(monkeypatch):
    from fer_lightning.fused import graphs

    monkeypatch.setattr(graphs, "BUNDLED", 2)
    assert_as_on_the_cpu(MLP, MOVING, [(splits(60), 0)] * 4, use_graphs=True)


def test_a_model_that_diverges_leaves_its_neighbours_alone():
    shared = splits(28)
    tame = [SGD(0.01), SGD(0.02)]
    three = members(MLP, [tame[0], SGD(1e300), tame[1]], [(shared, 0)] * 3, DEVICE)
    together = FusedTraining(three, BATCH)
    apart = FusedTraining(members(MLP, tame, [(shared, 0)] * 2, DEVICE), BATCH)
    for m, parameter in enumerate(apart.network.parameters):
        parameter[1] = together.network.parameters[m][2]
    together.use_graphs = apart.use_graphs = True
    found, expected = curves(together), curves(apart)
    assert not found[-1, 0, 1].isfinite()
    torch.testing.assert_close(found[..., [0, 2]], expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("use_graphs", [False, True], ids=["launched", "graphs"])
@pytest.mark.parametrize(("network", "optimizers"), [(MLP, MOVING), (MLP, ADAMS), (CNN, MOVING)])
def test_steps_do_not_wait_for_the_gpu(network, optimizers, use_graphs, no_waiting):
    sets = [(splits(n, seed), seed) for seed, n in enumerate((32, 33, 30))]
    training = FusedTraining(members(network, optimizers, sets, DEVICE), BATCH)
    training.use_graphs = use_graphs
    training.train_epoch(0)
    no_waiting()
    for epoch in (1, 2):
        assert training.train_steps(epoch)


def test_compiled_steps_train_as_on_the_cpu():
    shared = splits(28)
    on_cpu = FusedTraining(members(MLP, MOVING, [(shared, 0)] * 4, "cpu"), BATCH)
    on_gpu = FusedTraining(members(MLP, MOVING, [(shared, 0)] * 4, DEVICE), BATCH)
    compilation = Compilation(on_gpu, True)
    assert on_gpu.use_graphs
    told = compilation.consider(0)
    assert "are compiled" in told
    torch.testing.assert_close(curves(on_gpu), curves(on_cpu), rtol=1e-9, atol=0)
