"""Cross-entropies, by hand."""

import math

import pytest
import torch

from fer_lightning.errors import SettingError
from fer_lightning.training.losses import CrossEntropy

LOGITS = torch.tensor(
    [[1.0, 0.5, -1.0, 0, 0, 0, 2.0], [0, 0, 3.0, 0, 0.2, 0, 0], [0.1, 0, 0, 0, 0, 0, 0]],
    dtype=torch.float64,
)
LABELS = torch.tensor([0, 2, 6])


def by_hand(targets, factors=(1.0,) * 7, smoothing=0.0):
    """The mean over the faces of weight times cross-entropy, one number after another."""
    total = 0.0
    for logits, target in zip(LOGITS.tolist(), targets, strict=True):
        log_sum = math.log(sum(math.exp(each) for each in logits))
        smoothed = [(1 - smoothing) * t + smoothing / 7 for t in target]
        ce = sum(t * (log_sum - each) for t, each in zip(smoothed, logits, strict=True))
        total += sum(t * f for t, f in zip(target, factors, strict=True)) * ce
    return total / len(targets)


HARD = [[float(c == label) for c in range(7)] for label in LABELS.tolist()]
SOFT = [[0.5, 0.5, 0, 0, 0, 0, 0], [0, 0, 1.0, 0, 0, 0, 0], [0.1, 0.2, 0.1, 0.1, 0.1, 0.1, 0.3]]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, [1, 2, 0.5, 1, 1, 3, 0]])
@pytest.mark.parametrize("kind", ["classes", "probabilities"])
def test_it_is_what_it_is_by_hand(kind, weight, smoothing):
    loss = CrossEntropy(smoothing, weight)
    labels, targets = (LABELS, HARD) if kind == "classes" else (torch.tensor(SOFT).double(), SOFT)
    expected = by_hand(targets, weight or (1.0,) * 7, smoothing)
    assert loss(LOGITS, labels).item() == pytest.approx(expected, rel=1e-6)


def test_balanced_weights_give_each_class_that_is_there_the_same_part():
    loss = CrossEntropy(weight="balanced")
    loss.balance([10, 0, 40, 0, 0, 0, 50])
    # N / (C n_c) of scikit-learn, over the three classes that are there
    assert loss.factors.tolist() == pytest.approx(
        [100 / 30, 0, 100 / 120, 0, 0, 0, 100 / 150], rel=1e-6
    )
    loss = CrossEntropy()
    loss.balance([1, 2, 3, 4, 5, 6, 7])
    assert loss.factors is None


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"label_smoothing": 1}, "label_smoothing"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"weight": "inverse"}, "weight"),
        ({"weight": [1, 2]}, "weight"),
        ({"weight": [1, 1, 1, 1, 1, 1, -1]}, "weight"),
        ({"weight": [1, 1, 1, 1, 1, 1, "x"]}, "weight"),
        ({"weight": 3}, "weight"),
    ],
)
def test_impossible_settings_are_refused_by_name(given, name):
    with pytest.raises(SettingError, match=rf"^{name} must be .*, got ") as caught:
        CrossEntropy(**given)
    assert caught.value.name == name
