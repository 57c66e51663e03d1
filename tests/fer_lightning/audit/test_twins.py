import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift

from fer_lightning.audit import twins
from fer_lightning.audit.twins import Pairs, find_pairs, groups_of


def photo(seed):
    """Something with smooth parts and details, as photographs have."""
    rng = np.random.default_rng(seed)
    parts = [s**2 * gaussian_filter(rng.normal(size=(48, 48)), s) for s in (1.5, 5)]
    return scaled(sum(parts))


def scaled(picture):
    low, high = picture.min(), picture.max()
    return ((picture - low) / (high - low) * 255).astype(np.uint8)


def pairs_of(*pictures):
    others = [photo(seed) for seed in range(100, 140)]
    images = torch.from_numpy(np.stack([*pictures, *others]))[:, None]
    return images, find_pairs(images)


def told(pairs):
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def test_equal_pictures_are_a_pair_and_others_are_none():
    _, pairs = pairs_of(photo(1), photo(2), photo(1))
    assert told(pairs) == [(0, 2)]
    assert (pairs.exact.tolist(), pairs.mirrored.tolist()) == ([True], [False])
    assert pairs.similarity.tolist() == [1.0]


@pytest.mark.parametrize(
    ("change", "mirrored"),
    [
        (lambda x: scaled(x * 0.5 + 30.0 + np.random.default_rng(0).normal(0, 3, x.shape)), False),
        (lambda x: scaled(np.sqrt(x)), False),
        (lambda x: shift(x, (2, -2), order=1, mode="nearest"), False),
        (lambda x: x[:, ::-1], True),
        (lambda x: scaled(x[:, ::-1] + np.random.default_rng(0).normal(0, 3, x.shape)), True),
    ],
    ids=["noise and contrast", "gamma", "another crop", "mirrored", "mirrored with noise"],
)
def test_a_changed_copy_is_a_near_one(change, mirrored):
    _, pairs = pairs_of(photo(1), photo(2), change(photo(2)))
    assert told(pairs) == [(1, 2)]
    assert (pairs.exact.tolist(), pairs.mirrored.tolist()) == ([False], [mirrored])
    assert 0.75 <= pairs.similarity.item() < 1 + 1e-6


@pytest.mark.parametrize("side", [8, 20, 40, 64, 100])
def test_faces_of_any_size_are_compared(side):
    images, _ = pairs_of(photo(1), photo(2), photo(1)[:, ::-1])
    sized = torch.nn.functional.interpolate(images.float(), (side, side), mode="area")
    pairs = find_pairs(sized.round().to(torch.uint8))
    assert (0, 2) in told(pairs)
    assert pairs.mirrored.tolist()[told(pairs).index((0, 2))]
    assert side < 20 or told(pairs) == [(0, 2)]  # of eight pixels a side there is little to tell


def test_the_same_outline_with_other_details_is_no_pair():
    rng = np.random.default_rng(3)
    outline = 400 * gaussian_filter(rng.normal(size=(48, 48)), 10)
    details = [10 * gaussian_filter(rng.normal(size=(48, 48)), 1) for _ in "ab"]
    first, second = (scaled(outline + part) for part in details)
    thumbnails = [x.reshape(16, 3, 16, 3).mean((1, 3)).ravel() for x in (first, second)]
    assert np.corrcoef(thumbnails)[0, 1] > 0.9
    _, pairs = pairs_of(first, second)
    assert told(pairs) == []


def test_the_search_finds_the_pairs_that_comparing_all_with_all_finds():
    images, _ = pairs_of()
    base = gaussian_filter(np.random.default_rng(0).normal(size=(48, 48)), 5) * 60
    mixed = np.stack([scaled(base + 0.1 * x.astype(float)) for x in images[:, 0].numpy()])
    images = torch.from_numpy(np.concatenate([mixed[:20], mixed[20:, :, ::-1]]))[:, None].clone()
    pairs, mirrored = twins._candidates(twins._thumbnails(images, 16), 0.5)

    small = images.numpy().reshape(-1, 16, 3, 16, 3).mean((2, 4)).reshape(len(images), -1)
    small = (small - small.mean(1, keepdims=True)) / small.std(1, keepdims=True)
    mean = small.mean(0).reshape(16, 16)
    small = small.reshape(-1, 16, 16) - (mean + mean[:, ::-1]) / 2
    as_is = np.corrcoef(small.reshape(len(small), -1))
    both = np.corrcoef(small.reshape(len(small), -1), small[:, :, ::-1].reshape(len(small), -1))
    turned = both[: len(small), len(small) :]
    expected = {
        (i, j): turned[i, j] > as_is[i, j]
        for i in range(len(small))
        for j in range(i + 1, len(small))
        if max(as_is[i, j], turned[i, j]) >= 0.5
    }
    assert 20 < len(expected) < 780
    found = dict(zip(map(tuple, pairs.tolist()), mirrored.tolist(), strict=True))
    assert found == expected


def test_blocks_change_nothing(monkeypatch):
    images, whole = pairs_of(*(photo(i % 5) for i in range(15)))
    monkeypatch.setattr(twins, "BLOCK", 7)
    monkeypatch.setattr(twins, "PAIRS", 3)
    parts = find_pairs(images)
    assert sorted(told(parts)) == sorted(told(whole))
    assert len(whole) == 15


def test_pictures_of_one_grey_level_are_like_none():
    images = torch.zeros(4, 1, 48, 48, dtype=torch.uint8)
    images[2:] = 200
    assert told(find_pairs(images)) == []


def test_a_chain_of_pairs_is_one_group():
    first, second = torch.tensor([0, 3, 1]), torch.tensor([3, 5, 2])
    nothing = torch.zeros(3)
    pairs = Pairs(first, second, nothing, nothing.bool(), nothing.bool())
    assert groups_of(pairs, 7).tolist() == [1, 2, 2, 1, 0, 1, 0]
    assert groups_of(
        Pairs(*(each[:0] for each in (first, second, *3 * (nothing,)))), 2
    ).tolist() == [
        0,
        0,
    ]
