"""Which groups of runs are trained side by side."""

from types import SimpleNamespace

import pytest
import torch

from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.sweeps.launching.small_groups import is_small, side_by_side
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.optim.optimizers import SGD, AdamW


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def group(n=1, hidden=(10,), faces=100, network=None, optimizer=None, device="cpu"):
    model = ExpressionClassifier(network or MLP(hidden), optimizer or SGD(0.1))
    splits = SimpleNamespace(train=range(faces))
    data = SimpleNamespace(splits=splits, batch_size=10)
    run = SimpleNamespace(model=model, datamodule=data, device=torch.device(device))
    return dict.fromkeys(range(n), run)


def sets(groups, budget=10**12):
    return [[id(g) for g in each] for each in side_by_side(groups, lambda device: budget)]


@pytest.mark.parametrize(
    ("given", "small"),
    [
        ({}, True),
        ({"n": 3}, True),
        ({"n": 4}, False),  # which two cores share well
        ({"n": 0}, False),
        ({"network": CNN()}, True),
        ({"optimizer": AdamW(0.1)}, False),
        ({"device": "cuda"}, False),
    ],
)
def test_small_groups_are_those_that_leave_a_core_idle(given, small):
    assert is_small(list(group(**given).values())) is small


def test_groups_of_like_work_are_side_by_side_the_largest_first():
    some = [group(hidden=(hidden,)) for hidden in (5, 8, 6)]
    assert sets(some) == [[id(some[i]) for i in (1, 2, 0)]]


@pytest.mark.parametrize("large", [{"hidden": (50,)}, {"faces": 500}, {"n": 3}])
def test_a_group_that_is_most_of_the_work_has_all_cores(large):
    some = [group(), group(**large), group()]
    assert sets(some) == [[id(some[1])], [id(some[0]), id(some[2])]]


def test_no_more_are_side_by_side_than_fit_into_memory():
    some = [group() for _ in range(4)]
    assert [len(each) for each in sets(some, budget=1)] == [1, 1, 1, 1]
    assert sets([]) == []
