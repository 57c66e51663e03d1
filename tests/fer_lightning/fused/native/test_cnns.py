"""Compiled epochs of a CNN against a network of its own, trained by PyTorch."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.data.minibatches import epoch_order
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.fused.native.epochs import NativeCNNs
from fer_lightning.fused.optimizers import StackedSGD
from fer_lightning.networks.cnn import CNN
from fer_lightning.training.optim.optimizers import SGD, AdamW
from tests.fer_lightning.fused.native.alone import (
    assert_as_alone,
    first_means,
    images_of,
    train_alone,
)

N = 11  # training faces
SETTINGS = {
    "plain": SGD(0.1),
    "decaying": SGD(0.1, weight_decay=0.1),
    "moving": SGD(0.05, 0.9),
    "all": SGD(0.05, 0.9, 0.1),
    "ahead": SGD(0.05, 0.9, 0.1, nesterov=True),
}


def splits(side: int, n: int = N, levels: int = 256) -> FaceSplits:
    rng = np.random.default_rng(side)
    pixels = rng.integers(0, levels, (n, side, side)) * (255 // (levels - 1))
    images = torch.from_numpy(pixels.astype(np.uint8)).unsqueeze(1)
    faces = Faces(images, *[torch.from_numpy(rng.integers(0, 7, n))] * 3)
    return FaceSplits(faces, faces, faces)


def member(settings, filters=(3, 5), kernel=5, side=13, dtype=torch.float64, init=0, n=N) -> Member:
    torch.manual_seed(init)
    return Member(CNN(filters, kernel, side).to(dtype), settings, splits(side, n), 3)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("batch_size", [1, 4, 50])
def test_every_step_is_that_of_pytorch(batch_size, name):
    assert_as_alone([member(SETTINGS[name])], batch_size)


@pytest.mark.parametrize("filters", [(1,), (8,), (9, 16), (17, 3, 8), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_filters_and_kernels_of_any_size(filters, kernel):
    assert_as_alone([member(SETTINGS["all"], filters, kernel)], 4)


@pytest.mark.parametrize("side", [8, 12, 20, 48])
def test_faces_of_any_size(side):
    assert_as_alone([member(SETTINGS["ahead"], (8, 16), side=side)], 4)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_float32_stays_within_1e_4(batch_size):
    one = member(SETTINGS["moving"], (8, 16), side=48, dtype=torch.float32)
    assert_as_alone([one], batch_size, epochs=5, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_models_of_other_settings_side_by_side(batch_size):
    assert_as_alone([member(s, init=i) for i, s in enumerate(SETTINGS.values())], batch_size)


def test_of_equal_pixels_in_a_pool_the_first_is_taken():
    # filters that look at one pixel see black and white, so that most pools have several maxima
    torch.manual_seed(0)
    network = CNN((4, 6), 3, 24).double()
    with torch.no_grad():
        for layer in (network.layers[0], network.layers[3]):
            middle = layer.weight[:, :, 1, 1].clone()
            layer.weight.zero_()[:, :, 1, 1] = middle
    assert_as_alone([Member(network, SGD(0.1), splits(24, levels=2), 0)], N, epochs=1)


def test_what_is_not_a_number_wins_in_a_pool():
    one = member(SGD(0.1), (1,), kernel=1, side=8)
    with torch.no_grad():
        one.network.layers[0].weight.fill_(torch.inf)  # which makes a number only of what is not 0
        one.network.layers[-1].weight.fill_(1)
        one.splits.train.images[:, :, 0, 0] = 0
        expected = one.network(images_of(one))
    training = FusedTraining([one], 1)
    assert isinstance(training.native, NativeCNNs)
    assert expected.isnan().all()
    assert training.native.logits(training.val).isnan().all()


@pytest.mark.parametrize("batch_size", [1, 5])
def test_a_learning_rate_of_every_step(batch_size):
    one = member(SETTINGS["moving"])
    training = FusedTraining([one], batch_size)
    rates = torch.linspace(0.1, 0.001, -(-N // batch_size), dtype=torch.float64)
    training.optimizer.use_rates(rates.unsqueeze(1))
    mean = training.train_epoch(0).ce.item()
    assert mean == pytest.approx(train_alone(one, batch_size, 1, rates.tolist())[0], rel=1e-10)


def test_the_velocities_are_those_of_pytorch():
    one = member(SETTINGS["all"])
    training = FusedTraining([one], 4)
    training.train_epoch(0)
    optimizer = one.optimizer(one.network.parameters())
    for rows in epoch_order(N, one.seed, 0).split(4):
        loss = F.cross_entropy(one.network(images_of(one)[rows]), one.splits.train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert isinstance(training.optimizer, StackedSGD)
    velocities = training.optimizer.state["momentum_buffer"]
    for p, velocity in zip(one.network.parameters(), velocities, strict=True):
        torch.testing.assert_close(velocity[0], optimizer.state[p]["momentum_buffer"])


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(n_threads):
    members = [member(s, init=i) for i, s in enumerate(SETTINGS.values())]
    assert first_means(members, n_threads).equal(first_means(members, torch.get_num_threads()))


def test_a_network_that_diverges_has_no_number_for_its_loss():
    training = FusedTraining([member(SGD(1e300)), member(SETTINGS["plain"])], 1)
    training.train_epoch(0)
    assert training.train_epoch(1).ce.isfinite().tolist() == [False, True]
    assert training.validate().ce.isfinite().tolist() == [False, True]


_AS_PYTHON = """
import torch
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.networks.cnn import CNN
from fer_lightning.training.optim.optimizers import SGD

torch.manual_seed(0)
images = torch.randint(0, 256, (3, 1, 9, 9), dtype=torch.uint8)
faces = Faces(images, *[torch.arange(3) % 7] * 3)
splits = FaceSplits(faces, faces, faces)
for filters, kernel in (((3, 2), 3), ((2, 9, 3), 5)):
    one = Member(CNN(filters, kernel, 9).double(), SGD(0.1, 0.9), splits, 0)
    training = FusedTraining([one], 2)
    training.train_epoch(0)
    print(*training.train_epoch(1).ce.tolist(), *training.validate().ce.tolist())
"""


def test_the_loops_do_the_same_as_python():
    # Python looks at every index, too
    outputs = []
    for disabled in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        command = [sys.executable, "-c", _AS_PYTHON]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        outputs.append([float(word) for word in done.stdout.split()])
    assert len(outputs[0]) == 4
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-12)


def test_what_is_not_written_as_loops():
    adam, other = member(AdamW(0.01)), member(SGD(0.01))
    other.network.layers.append(torch.nn.Dropout(0))
    for one in (adam, other):
        assert FusedTraining([one], 1).native is None
