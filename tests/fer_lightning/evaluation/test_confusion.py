import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from fer_lightning.evaluation.measuring import class_scores
from fer_lightning.plots.counts import contingency


def test_counts_and_scores_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(5, (200,), generator=generator)
    predicted = (truth + torch.randint(3, (200,), generator=generator)) % 5
    counts = contingency(truth, predicted, 5, 5)
    assert counts.tolist() == confusion_matrix(truth, predicted).tolist()
    expected = zip(*precision_recall_fscore_support(truth, predicted), strict=True)
    for scores, values in zip(class_scores(counts), expected, strict=True):
        assert list(scores.values()) == pytest.approx(list(values))


def test_figures_that_do_not_exist_are_none():
    # class 1 is never predicted, class 2 is not there, class 3 neither
    counts = torch.tensor([[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    scores = class_scores(counts)
    assert scores[0] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2}
    assert scores[1] == {"precision": None, "recall": 0, "f1": 0, "n": 1}
    assert scores[2] == {"precision": 0, "recall": None, "f1": 0, "n": 0}
    assert scores[3] == {"precision": None, "recall": None, "f1": None, "n": 0}
