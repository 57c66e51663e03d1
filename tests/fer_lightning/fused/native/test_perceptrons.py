"""Compiled epochs of few faces a step against a network of its own, trained by PyTorch."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD, AdamW
from tests.fer_lightning.fused.native.alone import (
    assert_as_alone,
    first_means,
    train_alone,
)

N = 22  # training faces
SETTINGS = {
    "plain": SGD(0.02),
    "decaying": SGD(0.02, weight_decay=0.1),
    "moving": SGD(0.01, 0.9),
    "all": SGD(0.01, 0.9, 0.1),
    "ahead": SGD(0.01, 0.9, 0.1, nesterov=True),
}


def splits(side: int = 12, n: int = N) -> FaceSplits:
    rng = np.random.default_rng(side)
    labels = rng.integers(0, 7, n)
    pixels = rng.integers(0, 200, (n, side * side)) + 8 * labels[:, None]
    images = torch.from_numpy(pixels.astype(np.uint8)).view(n, 1, side, side)
    faces = Faces(images, *[torch.from_numpy(labels)] * 3)
    return FaceSplits(faces, faces, faces)


def member(settings, dtype=torch.float64, hidden=(16, 32), init=0, side=12, n=N) -> Member:
    torch.manual_seed(init)
    return Member(MLP(hidden, side).to(dtype), settings, splits(side, n), 3)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("batch_size", [1, 3, 5, 9, 16])
def test_every_step_is_that_of_pytorch(batch_size, name):
    assert_as_alone([member(SETTINGS[name])], batch_size)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_models_of_other_settings_side_by_side(batch_size):
    assert_as_alone([member(s, init=i) for i, s in enumerate(SETTINGS.values())], batch_size)


@pytest.mark.parametrize("hidden", [(1,), (40,), (9, 3, 11)])
@pytest.mark.parametrize("batch_size", [1, 6])
def test_hidden_layers_of_any_size(batch_size, hidden):
    assert_as_alone([member(SETTINGS["all"], hidden=hidden)], batch_size)


@pytest.mark.parametrize("side", [8, 20])
def test_faces_of_any_size(side):
    assert_as_alone([member(SETTINGS["ahead"], side=side)], 4)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_float32_stays_within_1e_4(batch_size):
    assert_as_alone([member(SETTINGS["moving"], dtype=torch.float32)], batch_size, rtol=1e-4)


def test_more_faces_a_step_than_there_are():
    assert_as_alone([member(SETTINGS["moving"], n=5)], 16)


_AS_PYTHON = """
import torch
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD

for n, batch_size in ((7, 3), (7, 5), (4, 1), (9, 8)):
    faces = Faces(torch.zeros(n, 1, 8, 8, dtype=torch.uint8), *[torch.arange(n) % 7] * 3)
    one = Member(MLP((3,), 8), SGD(0.1, 0.9), FaceSplits(faces, faces, faces), 0)
    FusedTraining([one], batch_size).train_epoch(0)
"""


def test_no_place_is_read_that_does_not_exist():
    # as Python's own loops, which look at every index
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", _AS_PYTHON]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("batch_size", [1, 5])
def test_a_learning_rate_of_every_step(batch_size):
    one = member(SETTINGS["moving"])
    training = FusedTraining([one], batch_size)
    rates = torch.linspace(0.02, 0.001, -(-N // batch_size), dtype=torch.float64)
    training.optimizer.use_rates(rates.unsqueeze(1))
    mean = training.train_epoch(0).ce.item()
    (expected,) = train_alone(one, batch_size, 1, rates.tolist())
    assert mean == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(n_threads):
    members = [member(s, init=i) for i, s in enumerate(SETTINGS.values())]
    assert first_means(members, n_threads).equal(first_means(members, torch.get_num_threads()))


def test_a_network_that_diverges_has_no_number_for_its_loss():
    training = FusedTraining([member(SGD(1e300)), member(SETTINGS["plain"])], 1)
    training.train_epoch(0)
    ce = training.train_epoch(1).ce
    assert ce.isfinite().tolist() == [False, True]


def test_what_is_not_written_as_loops():
    adam = Member(MLP((4,), 12), AdamW(0.01), splits(), 0)
    many = Member(MLP((4,), 12), SGD(0.01), splits(), 0)
    for one, batch_size in ((adam, 1), (many, 17)):
        assert FusedTraining([one], batch_size).native is None
