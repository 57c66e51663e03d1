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


def group(
    n=1,
    hidden=(10,),
    faces=100,
    network=None,
    optimizer=None,
    device="cpu",
    batch_size=10,
    engine="auto",
    threads=None,
):
    model = ExpressionClassifier(network or MLP(hidden), optimizer or SGD(0.1))
    splits = SimpleNamespace(train=range(faces))
    data = SimpleNamespace(splits=splits, batch_size=batch_size)
    config = SimpleNamespace(engine=engine, threads=threads)
    run = SimpleNamespace(model=model, datamodule=data, device=torch.device(device), config=config)
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
@pytest.mark.parametrize("go_on", [False, True])
def test_small_groups_are_those_that_leave_a_core_idle(given, go_on, small):
    assert is_small(list(group(**given).values()), go_on=go_on) is small


@pytest.mark.parametrize(
    ("given", "threads", "small"),
    [
        ({"batch_size": 500}, 2, True),
        ({"batch_size": 500}, 3, False),  # products of many faces have all of many cores
        ({"batch_size": 5}, 3, True),
        ({"network": CNN(filters=(30, 30))}, 2, False),  # faster by PyTorch with two cores
        ({"engine": "lightning"}, 2, False),
        ({"batch_size": 500, "threads": 1}, 3, True),  # which would have one core by itself
        ({"batch_size": 500, "threads": 3}, 2, False),
    ],
)
def test_runs_that_begin_take_one_core_where_that_costs_little(given, threads, small):
    torch.set_num_threads(threads)
    runs = list(group(**given).values())
    assert is_small(runs, go_on=False) is small
    assert is_small(runs, go_on=True)  # as they were


def test_one_core_is_never_idle():
    torch.set_num_threads(1)
    assert not is_small(list(group().values()), go_on=True)


def test_groups_of_like_work_are_side_by_side_the_largest_first():
    some = [group(hidden=(hidden,)) for hidden in (5, 8, 6)]
    assert sets(some) == [[id(some[i]) for i in (1, 2, 0)]]


def test_a_group_whose_runs_would_keep_one_core_busy_has_all_cores():
    some = [group(), group(n=3), group()]  # 1.5 and then 1, or 3 of one core
    assert sets(some) == [[id(some[1])], [id(some[0]), id(some[2])]]


@pytest.mark.parametrize("large", [{"hidden": (50,)}, {"faces": 500}])
def test_one_large_run_has_one_core_anyway(large):
    some = [group(), group(**large), group()]
    assert sets(some) == [[id(some[i]) for i in (1, 0, 2)]]


def test_no_more_are_side_by_side_than_fit_into_memory():
    some = [group() for _ in range(4)]
    assert [len(each) for each in sets(some, budget=1)] == [1, 1, 1, 1]
    assert sets([]) == []
