"""Compiled epochs of perceptrons against a network of its own, trained by PyTorch."""

import copy
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.fused.native import wide
from fer_lightning.fused.native.epochs import n_parts
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


def members_that_share(n_groups: int, names=tuple(SETTINGS), **kwargs) -> list[Member]:
    """Return a model of each of the settings for every one of n_groups orders of the faces."""
    shared = splits(n=kwargs.get("n", N))
    made = [member(SETTINGS[name], init=i, **kwargs) for i, name in enumerate(names)]
    copies = [copy.deepcopy(made) for _ in range(n_groups)]
    return [replace(m, splits=shared, seed=g) for g, group in enumerate(copies) for m in group]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("batch_size", [1, 3, 5, 7])
def test_every_step_is_that_of_pytorch(batch_size, name):
    assert_as_alone([member(SETTINGS[name])], batch_size)


@pytest.mark.parametrize("batch_size", [1, 7])
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


@pytest.mark.parametrize("batch_size", [7, 16])
def test_more_faces_a_step_than_there_are(batch_size):
    assert_as_alone([member(SETTINGS["moving"], n=5)], batch_size)


@pytest.mark.parametrize("n_groups", [1, 3])
@pytest.mark.parametrize("batch_size", [8, 17, 20, 22, 40])
def test_many_faces_a_step_of_models_that_share_them(batch_size, n_groups):
    assert_as_alone(members_that_share(n_groups), batch_size)


def test_many_faces_a_step_of_one_model():
    assert_as_alone([member(SETTINGS["all"])], 17)


@pytest.mark.parametrize("hidden", [(1,), (9, 3, 11), (100,), (200, 5)])
def test_many_faces_a_step_and_layers_of_any_size(hidden):
    assert_as_alone(members_that_share(1, hidden=hidden), 17)


def test_many_faces_a_step_of_models_that_see_others():
    assert_as_alone([member(s, init=i, n=20 + i) for i, s in enumerate(SETTINGS.values())], 18)


def test_many_faces_a_step_of_models_without_momentum_in_float32():
    members = members_that_share(1, ["plain", "decaying"], dtype=torch.float32)
    assert_as_alone(members, 17, rtol=1e-4)


def test_threads_of_others_are_as_many_as_before():
    before, training = torch.get_num_threads(), FusedTraining(members_that_share(1), 17)
    with threadpool_limits(2, "blas"):
        training.train_epoch(0)
        training.validate()
        assert set(_threads_of_blas()) == {2}
    assert torch.get_num_threads() == before


def _threads_of_blas() -> list[int]:
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


def test_loops_have_the_cores_to_themselves(monkeypatch):
    seen, train = [], wide.train_epoch

    def noted(*arguments):
        seen.append([torch.get_num_threads(), *_threads_of_blas()])
        train(*arguments)

    monkeypatch.setattr(wide, "train_epoch", noted)
    with threadpool_limits(2, "blas"):
        FusedTraining(members_that_share(1), 17).train_epoch(0)
    assert {n for each in seen for n in each} == {1}


@pytest.mark.parametrize(
    ("n_groups", "n_shared", "n_threads", "n"),
    [
        (1, 15, 2, 2),  # 8 and 7 models, side by side
        (1, 15, 1, 1),
        (2, 15, 2, 1),
        (1, 2, 16, 2),
        (3, 4, 2, 2),  # three times 2 models each, and not 8 and 4
    ],
)
def test_models_are_divided_among_the_cores(n_groups, n_shared, n_threads, n):
    assert n_parts(n_groups, n_shared, n_threads) == n


_AS_PYTHON = """
import torch
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.fused.native import wide
from fer_lightning.fused.native.epochs import n_parts
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD

for n, batch_size in ((7, 3), (7, 5), (4, 1), (9, 7), (19, 17)):
    faces = Faces(torch.zeros(n, 1, 8, 8, dtype=torch.uint8), *[torch.arange(n) % 7] * 3)
    splits = FaceSplits(faces, faces, faces)
    some = [Member(MLP((3,), 8), SGD(0.1, 0.9), splits, 0) for _ in range(2)]
    training = FusedTraining(some, batch_size)
    training.train_epoch(0)
    training.validate()
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


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_only_the_last_digits(n_threads):
    members = members_that_share(1)
    expected = [train_alone(copy.deepcopy(m), 17, 1)[0] for m in members]
    np.testing.assert_allclose(first_means(members, n_threads, 17), expected, rtol=1e-10)


def test_a_network_that_diverges_has_no_number_for_its_loss():
    training = FusedTraining([member(SGD(1e300)), member(SETTINGS["plain"])], 1)
    training.train_epoch(0)
    ce = training.train_epoch(1).ce
    assert ce.isfinite().tolist() == [False, True]


def test_what_is_not_written_as_loops(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # with one, loops are always faster
    adam = Member(MLP((4,), 12), AdamW(0.01), splits(), 0)
    many = Member(MLP((4,), 12), SGD(0.01), splits(), 0)
    for some, batch_size in (([adam], 1), ([adam] * 2, 17), ([many], 101)):
        assert FusedTraining(some, batch_size).native is None
