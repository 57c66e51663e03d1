"""Measuring what training together costs, on a clock of the test's own."""

import itertools
from dataclasses import replace

import pytest
import torch

from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.fused import cost as probing, engine
from fer_lightning.fused.cost import decided_by, fused_cost
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.fused.native import perceptron
from fer_lightning.fused.native.epochs import NativeEpochs
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.optim.optimizers import SGD, AdamW


def four_members(dtype=torch.float32, network=lambda: MLP((4,))):
    images = torch.zeros(8, 1, 48, 48, dtype=torch.uint8)
    index = torch.arange(8)
    faces = Faces(images, index % 7, index, index)
    shared = FaceSplits(faces, faces, faces)
    return [Member(network().to(dtype), SGD(0.1), shared, seed=0) for _ in range(4)]


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for what trainings of given seconds a face and model take."""

    class Clock:
        now, calls = 0.0, []

        def set(self, together: dict[int, float], alone: float) -> None:
            def train_all(training, epoch):
                size = len(training.network), training.batch_size, sum(training.train.lengths)
                self.calls.append((*size, torch.get_num_threads()))
                faces = size[0] * training.train.rows.shape[1]
                self.now += together[torch.get_num_threads()] * faces

            def train_one(member, batch_size):
                assert torch.get_num_threads() == 1
                self.now += alone * len(member.splits.train)

            monkeypatch.setattr(engine.FusedTraining, "train_epoch", train_all)
            monkeypatch.setattr(probing, "_train_plainly", train_one)

    made = Clock()
    monkeypatch.setattr(probing.time, "perf_counter", lambda: made.now)
    return made


def test_the_cost_is_the_time_of_all_over_that_of_each(clock):
    clock.set({1: 0.004, 2: 0.0025}, alone=0.002)
    members = four_members()
    weights = [m.network.layers[1].weight.detach().clone() for m in members]
    cost = fused_cost(members, 32, threads=[2, 1], alone=1)
    assert cost.share == pytest.approx(0.0025 / 0.002)
    assert cost.threads == 2
    for member, weight in zip(members, weights, strict=True):
        assert (member.network.layers[1].weight == weight).all()


@pytest.mark.parametrize("seconds", [1e-6, 1e-4, 1e-3, 3e-3])
def test_a_measurement_takes_two_seconds_at_most_however_slow_the_training_is(clock, seconds):
    clock.set({1: 4 * seconds, 2: 3 * seconds}, alone=seconds)
    cost = fused_cost(four_members(), 100, threads=[2, 1], alone=1)
    assert clock.now <= 2
    assert cost.share == pytest.approx(3)


def test_what_is_fast_is_measured_on_whole_minibatches_of_all_models(clock):
    clock.set({1: 1e-5}, alone=1e-5)
    fused_cost(four_members(), 100, threads=[1], alone=1)
    assert clock.calls[-1][:2] == (4, 100)


def test_the_first_try_of_a_size_only_warms_up(clock, monkeypatch):
    clock.set({1: 1e-5}, alone=1e-5)
    train, seen = engine.FusedTraining.train_epoch, set()

    def slow_at_first(training, epoch):
        train(training, epoch)
        clock.now += 0 if id(training) in seen else 0.02
        seen.add(id(training))
        kept.append(training)  # so that no other has its id

    kept = []
    monkeypatch.setattr(engine.FusedTraining, "train_epoch", slow_at_first)
    cost = fused_cost(four_members(), 100, threads=[1], alone=1)
    assert cost.share == pytest.approx(1)


@pytest.mark.parametrize(
    ("sharing", "n", "measured"), [(1, 9, 8), (3, 9, 6), (9, 18, 8), (2, 4, 4)]
)
def test_as_many_models_share_minibatches_as_in_the_training(
    clock, monkeypatch, sharing, n, measured
):
    sizes = []
    clock.set({1: 1e-5}, alone=1e-5)
    train = engine.FusedTraining.train_epoch

    def noted(training, epoch):
        sizes.append((len(training.network), training.n_shared))
        train(training, epoch)

    monkeypatch.setattr(engine.FusedTraining, "train_epoch", noted)
    one = four_members()[0]
    members = [replace(one, network=MLP((4,)), seed=i // sharing) for i in range(n)]
    fused_cost(members, 50, threads=[1], alone=1)
    assert sizes[-1] == (measured, min(sharing, measured))


def test_models_of_few_faces_are_trained_each_by_the_loops_that_train_all(monkeypatch):
    monkeypatch.setattr(probing, "_ENOUGH", 0)
    monkeypatch.setattr(probing, "_train_plainly", None)
    sizes = []
    train = NativeEpochs.__call__

    def counted(self):
        sizes.append(len(self._network))
        return train(self)

    monkeypatch.setattr(NativeEpochs, "__call__", counted)
    fused_cost(four_members(), 1, threads=[1], alone=1)
    assert set(sizes[-4:]) == {1, 4}


def test_small_tries_for_larger_minibatches_do_not_run_in_the_loops_for_few_faces(monkeypatch):
    monkeypatch.setattr(probing, "_ENOUGH", 0)
    monkeypatch.setattr(perceptron, "train_epoch", None)
    fused_cost(four_members(), 40, threads=[1], alone=1)


def test_all_that_changes_a_cost_decides_it():
    members = four_members()
    other_faces = FaceSplits(*(faces for _, faces in members[0].splits))
    changed = {
        "as it is": members,
        "network": [replace(m, network=CNN()) for m in members],
        "widths": [replace(m, network=MLP((5,))) for m in members],
        "numbers": four_members(torch.float64),
        "optimiser": [replace(m, optimizer=AdamW(0.1)) for m in members],
        "fewer": members[:2],
        "minibatches": [replace(m, seed=i) for i, m in enumerate(members)],
        "pairs": [replace(m, seed=i // 2) for i, m in enumerate(members)],
    }
    told = {name: decided_by(those, 100, [2, 1], 1) for name, those in changed.items()}
    told["batch size"] = decided_by(members, 50, [2, 1], 1)
    told["threads"] = decided_by(members, 100, [2], 1)
    told["threads alone"] = decided_by(members, 100, [2, 1], 2)
    for (a, first), (b, second) in itertools.combinations(told.items(), 2):
        assert first != second, f"{a} and {b}"
    rates = [replace(m, optimizer=SGD(0.2), splits=other_faces, seed=3) for m in four_members()]
    assert decided_by(rates, 100, [2, 1], 1) == told["as it is"]


@pytest.mark.parametrize("fact", ["processor", "n_cores"])
def test_another_machine_has_costs_of_its_own(monkeypatch, fact):
    before = decided_by(four_members(), 100, [1], 1)
    monkeypatch.setattr(probing, fact, lambda: 7)
    assert decided_by(four_members(), 100, [1], 1) != before


def test_beyond_those_that_are_measured_the_number_of_models_does_not_matter():
    many = [*four_members(), *four_members(), *four_members()]
    many = [replace(m, splits=many[0].splits, seed=i) for i, m in enumerate(many)]
    assert decided_by(many, 100, [1], 1) == decided_by(many[:8], 100, [1], 1)
    assert decided_by(many[:7], 100, [1], 1) != decided_by(many[:8], 100, [1], 1)
    assert FusedTraining(many, 100).n_shared == 1


def test_a_cnn_alone_is_trained_as_its_run_would_be(monkeypatch):
    # by compiled loops on one core, or by PyTorch where a run has many cores for many faces
    monkeypatch.setattr(probing, "_ENOUGH", 0)
    by_pytorch = []
    monkeypatch.setattr(probing, "_train_plainly", lambda *_: by_pytorch.append(True))
    before = torch.get_num_threads()
    try:
        fused_cost(four_members(network=lambda: CNN((2,))), 11, threads=[1], alone=2)
        assert not by_pytorch
        fused_cost(four_members(network=lambda: CNN((2,))), 11, threads=[1], alone=3)
        assert by_pytorch
    finally:
        torch.set_num_threads(before)
