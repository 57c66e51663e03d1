import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from torch.nn.functional import avg_pool2d

from fer_lightning.data.drawing.action_units import COLUMN, UNITS, sample_units
from fer_lightning.data.faces import CLASSES, FaceSplits
from fer_lightning.data.sources import synthetic
from fer_lightning.data.sources.synthetic import Synthetic, draw_faces

# TFD's 437 457 424 758 441 459 1202 of 4,178, times 3374, 419 and 385: the whole parts add up to
# 3371, 416 and 382, and the three largest remainders of each split are raised by one.
COUNTS = {
    "train": [353, 369, 342, 612, 356, 371, 971],
    "val": [44, 46, 42, 76, 44, 46, 121],
    "test": [40, 42, 39, 70, 41, 42, 111],
}
LABELS = torch.arange(7).repeat(5)


@pytest.fixture(scope="module")
def faces() -> FaceSplits:
    return Synthetic().read()


@pytest.mark.parametrize("split", COUNTS)
def test_each_split_has_the_classes_in_the_proportions_of_tfd(faces, split):
    assert getattr(faces, split).labels.bincount().tolist() == COUNTS[split]


@pytest.mark.parametrize(("split", "n"), [("train", 3374), ("val", 419), ("test", 385)])
def test_faces_have_the_agreed_types(faces, split, n):
    part = getattr(faces, split)
    assert part.images.shape == (n, 1, 48, 48)
    assert part.images.dtype == torch.uint8
    assert part.labels.dtype == part.subjects.dtype == part.index.dtype == torch.int64
    assert part.subjects.tolist() == [-1] * n
    assert part.index.tolist() == list(range(n))


def test_classes_are_shuffled(faces):
    assert faces.train.labels[:100].unique().numel() == 7


def test_no_test_face_is_a_training_face(faces):
    # Two photographs of one drawing would differ by their noise alone: 48 sqrt(2) 5.1 = 346.
    test, train = (part.images.flatten(1).float() for part in (faces.test, faces.train))
    assert torch.cdist(test, train).min() > 2 * 346


def test_grey_levels_are_spread_like_a_photographs(faces):
    levels = faces.train.images.double() / 255
    assert 0.35 < levels.mean() < 0.6
    assert (levels.std((1, 2, 3)) > 0.05).all()
    assert ((levels == 0) | (levels == 1)).double().mean() < 0.1


def test_a_linear_classifier_does_better_than_chance_but_not_well(faces):
    # A majority vote is right for 29 %.
    pixels, unseen = (
        avg_pool2d(part.images / 255, 2).flatten(1).numpy() for part in (faces.train, faces.val)
    )
    classifier = RidgeClassifier(alpha=100).fit(pixels, faces.train.labels.numpy())
    assert 0.35 < classifier.score(unseen, faces.val.labels.numpy()) < 0.85


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(synthetic, "N_FACES", {"train": 40, "val": 20, "test": 10})


@pytest.mark.usefixtures("few")
def test_a_seed_gives_the_same_faces_whatever_the_global_state():
    before = torch.get_num_threads()
    runs = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            torch.manual_seed(n_threads)
            np.random.seed(n_threads)
            runs.append(Synthetic(3).read())
    finally:
        torch.set_num_threads(before)
    for split in COUNTS:
        first, second = (getattr(run, split) for run in runs)
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels, second.labels)


@pytest.mark.usefixtures("few")
def test_reading_leaves_the_global_generators_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    Synthetic().read()
    assert (torch.rand(1), np.random.rand()) == expected


@pytest.mark.usefixtures("few")
def test_another_seed_gives_other_faces():
    first, second = (Synthetic(seed).read().train.images.double() for seed in (0, 1))
    assert (first - second).abs().mean() > 10


@pytest.mark.parametrize("seed", [-1, 0.5, 1.0, "0", None, True])
def test_an_invalid_seed_is_refused_by_name(seed):
    with pytest.raises(ValueError, match=r"seed must be .*, got "):
        Synthetic(seed)


def test_drawing_follows_the_labels():
    assert torch.equal(draw_faces(LABELS, np.random.default_rng(0)).labels, LABELS)


@pytest.mark.parametrize(
    ("expression", "typical", "foreign"),
    [
        ("anger", 4, 12),
        ("disgust", 9, 27),
        ("fear", 20, 12),
        ("happy", 12, 15),
        ("sad", 15, 5),
        ("surprise", 26, 4),
    ],
)
def test_expressions_show_the_units_of_emfacs(expression, typical, foreign):
    labels = torch.full((500,), CLASSES.index(expression))
    strength = sample_units(labels, np.random.default_rng(0)).mean(-1)
    assert strength[:, COLUMN[typical]].mean() > 0.4
    assert strength[:, COLUMN[foreign]].mean() < 0.15


def test_neutral_faces_hardly_move():
    strength = sample_units(torch.full((500,), CLASSES.index("neutral")), np.random.default_rng(0))
    assert strength.shape == (500, len(UNITS), 2)
    assert 0.01 < strength.mean() < 0.15


def test_expressions_range_from_barely_visible_to_full():
    labels = torch.full((500,), CLASSES.index("happy"))
    smile = sample_units(labels, np.random.default_rng(0)).mean(-1)[:, COLUMN[12]]
    assert (smile < 0.3).double().mean() > 0.05
    assert (smile > 0.8).double().mean() > 0.1
    assert 0 <= smile.min() <= smile.max() <= 1
