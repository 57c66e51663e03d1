import pytest
import torch

from fer_lightning.data.faces import Faces
from fer_lightning.data.minibatches import (
    Share,
    TrainLoader,
    balanced_order,
    epoch_order,
    in_order,
)


def numbered(n):
    """Faces whose label and first pixel are their number."""
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 48, 48)
    numbers = torch.arange(n)
    return Faces(images.contiguous(), numbers, numbers, numbers)


def labels_of(loader):
    return [labels.tolist() for _, labels in loader]


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    torch.manual_seed(1)
    first = epoch_order(50, seed=3, epoch=4)
    torch.manual_seed(2)
    assert torch.equal(first, epoch_order(50, seed=3, epoch=4))
    others = [epoch_order(50, 3, 5), epoch_order(50, 4, 4), epoch_order(50, 4, 3)]
    assert not any(torch.equal(first, other) for other in others)
    assert sorted(first.tolist()) == list(range(50))


def test_an_epoch_has_every_face_once_and_its_last_minibatch_takes_what_is_left():
    loader = TrainLoader(numbered(25), batch_size=10, seed=0)
    labels = labels_of(loader)
    assert list(map(len, labels)) == [10, 10, 5]
    assert len(loader) == 3
    assert sorted(label for part in labels for label in part) == list(range(25))


def test_pictures_stay_with_their_labels():
    for images, labels in TrainLoader(numbered(25), 10, seed=0):
        assert images.shape == (len(labels), 1, 48, 48)
        assert images.dtype == torch.uint8
        assert torch.equal(images[:, 0, 20, 30].long(), labels)


def test_each_epoch_has_an_order_of_its_own():
    loader = TrainLoader(numbered(20), 10, seed=0)
    epochs = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)
        epochs.append(labels_of(loader))
    assert epochs[0] == epochs[2] != epochs[1]


def test_evaluation_takes_faces_in_their_order():
    assert labels_of(in_order(numbered(5), 2)) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("n_processes", [2, 3])
def test_processes_share_every_minibatch_without_a_face_twice_or_left_out(n_processes):
    whole = labels_of(TrainLoader(numbered(41), 10, seed=1))
    shares = []
    for rank in range(n_processes):
        batches = list(TrainLoader(numbered(41), 10, 1, share=Share(rank, n_processes)))
        assert [batch.n for batch in batches] == list(map(len, whole))
        shares.append([batch.labels.tolist() for batch in batches])
    for minibatch, *parts in zip(whole, *shares, strict=True):
        assert sorted(label for part in parts for label in part) == sorted(minibatch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("n_processes", [1, 2])
def test_minibatches_that_are_done_are_passed_over_once(n_processes):
    share = Share(0, n_processes)
    whole = TrainLoader(numbered(41), 10, 1, epoch=3, share=share)
    loader = TrainLoader(numbered(41), 10, 1, epoch=3, done=2, share=share)
    seen = [(loader.passes, batch) for batch in loader]
    assert [passes for passes, _ in seen] == [True, True, False, False, False]
    assert [batch for _, batch in seen[:2]] == [None, None]
    for (_, batch), expected in zip(seen[2:], list(whole)[2:], strict=True):
        assert all(
            torch.equal(torch.as_tensor(a), torch.as_tensor(b))
            for a, b in zip(batch, expected, strict=True)
        )
    assert all(batch is not None for batch in loader)


@pytest.mark.parametrize("limit", [9, 7])
@pytest.mark.parametrize("accumulated", [1, 2, 4])
def test_weights_make_the_mean_of_a_step_that_of_all_its_faces(accumulated, limit):
    n_batches = min(9, limit)  # of 5, the last one of 1
    loader = TrainLoader(numbered(41), 5, seed=0)
    sizes = [5] * 8 + [1]
    for first in range(0, n_batches, accumulated):
        together = range(first, min(first + accumulated, n_batches))
        n = sum(sizes[i] for i in together)
        for i in together:
            weight = loader.weight(i, n_batches, accumulated)
            assert weight / accumulated == pytest.approx(sizes[i] / n)


def test_processes_share_the_faces_of_an_evaluation():
    parts = [labels_of(in_order(numbered(5), 2, Share(rank, 2))) for rank in range(2)]
    assert parts == [[[0], [2], [4]], [[1], [3], []]]


def test_who_overfits_sees_the_same_faces_in_every_epoch():
    loader = TrainLoader(numbered(25), 10, seed=0, reshuffles=False)
    first = labels_of(loader)
    loader.set_epoch(3)
    assert labels_of(loader) == first
    again = TrainLoader(numbered(25), 10, 0, epoch=2, reshuffles=False)
    assert labels_of(again) == first


def test_a_balanced_order_has_each_class_equally_often_and_each_face_of_it():
    labels = torch.tensor([0] * 500 + [2] * 90 + [6] * 10)
    order = balanced_order(labels, seed=0, epoch=0)
    assert torch.bincount(labels[order]).tolist() == [200, 0, 200, 0, 0, 0, 200]
    drawn = torch.bincount(order, minlength=600)
    # 200 draws of 10 faces: each 20 times, with a spread of 4.2
    assert drawn[590:].min() > 3
    assert drawn[590:].max() < 38
    assert (drawn[:500] > 0).double().mean().item() == pytest.approx(
        1 - (1 - 1 / 500) ** 200, abs=0.06
    )


def test_a_balanced_order_is_a_function_of_labels_seed_and_epoch():
    labels = torch.tensor([0, 1, 1, 2, 2, 2] * 20)
    first = balanced_order(labels, 3, 4)
    assert torch.equal(first, balanced_order(labels, 3, 4))
    assert not torch.equal(first, balanced_order(labels, 3, 5))
    assert not torch.equal(first, balanced_order(labels, 4, 4))


class Marking:
    """Adds to each face the number that is drawn for it, and remembers the draws."""

    def __init__(self):
        self.asked = []

    def draw(self, n, seed, epoch):
        self.asked.append((n, seed, epoch))
        return torch.arange(n).view(n, 1) + 1000 * epoch

    def __call__(self, images, labels, draws):
        return images[:, 0, 0, 0].long(), torch.stack((labels, draws[:, 0]), -1)


@pytest.mark.parametrize("done", [0, 2])
@pytest.mark.parametrize("share", [Share(0, 1), Share(0, 2), Share(1, 2)])
def test_the_changes_of_a_face_belong_to_its_place_in_the_epoch(share, done):
    augment = Marking()
    loader = TrainLoader(numbered(25), 10, seed=5, epoch=3, done=done, share=share, augment=augment)
    batches = [batch for batch in loader if batch is not None]
    assert len(batches) == 3 - done
    assert augment.asked == [(25, 5, 3)]
    order = epoch_order(25, 5, 3)
    for i, batch in enumerate(batches, done):
        places = torch.arange(10 * i, min(10 * i + 10, 25))[share.rank :: share.n_processes]
        assert torch.equal(batch[0], order[places])
        assert torch.equal(batch[1], torch.stack((order[places], places + 3000), -1))
