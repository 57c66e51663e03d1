import pytest
import torch

from fer_lightning.audit.confident_learning import class_thresholds, contradicted

# Three classes; t_0 = (0.9 + 0.5 + 0.1) / 3 = 0.5, t_1 = (0.8 + 0.2) / 2 = 0.5,
# t_2 = (0.7 + 0.1) / 2 = 0.4.
LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2])
PROBA = torch.tensor(
    [
        [0.90, 0.05, 0.05],  # of its class
        [0.50, 0.05, 0.45],  # of 0 and of 2, more probably of 0
        [0.10, 0.70, 0.20],  # of 1: margin 0.1 - 0.7
        [0.10, 0.80, 0.10],
        [0.42, 0.20, 0.38],  # sure of no class
        [0.15, 0.15, 0.70],
        [0.85, 0.05, 0.10],  # of 0: margin 0.1 - 0.85
    ],
    dtype=torch.float64,
)


def test_thresholds_are_mean_probabilities_of_the_own_class():
    assert class_thresholds(PROBA, LABELS).tolist() == pytest.approx([0.5, 0.5, 0.4])
    without_1 = class_thresholds(PROBA[[0, 5]], LABELS[[0, 5]])
    assert without_1.tolist() == pytest.approx([0.9, float("inf"), 0.7])


def test_the_surest_contradictions_come_first():
    found = contradicted(PROBA, LABELS)
    assert found.rows.tolist() == [6, 2]
    assert found.suggested.tolist() == [0, 1]
    assert found.margin.tolist() == pytest.approx([-0.75, -0.6])


def test_a_face_above_two_thresholds_counts_as_its_most_probable_class():
    labels = torch.tensor([0, 1, 2, 2])
    proba = torch.tensor([[0.3, 0.4, 0.3], [0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]])
    # t = (0.3, 0.3, 0.55): all three first faces are above t_0 and t_1
    found = contradicted(proba.double(), labels)
    assert dict(zip(found.rows.tolist(), found.suggested.tolist(), strict=True)) == {
        0: 1,
        1: 0,
        2: 0,
    }


def test_a_label_that_is_the_most_probable_is_not_contradicted():
    # face 0 is below t_0 = 0.7 and above t_1 = 0.4, and class 0 is all the same more probable
    labels = torch.tensor([0, 0, 1])
    proba = torch.tensor([[0.55, 0.45], [0.85, 0.15], [0.6, 0.4]], dtype=torch.float64)
    assert contradicted(proba, labels).rows.tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_the_vectorised_form_is_the_definition(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (200,), generator=generator)
    logits = torch.randn(200, 4, generator=generator, dtype=torch.float64)
    logits[torch.arange(200), labels] += 1
    proba = logits.softmax(-1)
    t = [proba[labels == j, j].mean() for j in range(4)]
    expected = {}
    for i, row in enumerate(proba):
        classes = [j for j in range(4) if row[j] >= t[j]]
        if classes:
            j = max(classes, key=lambda j: row[j])
            if j != labels[i] and row.argmax() != labels[i]:
                expected[i] = (j, float(row[labels[i]] - row.max()))
    found = contradicted(proba, labels)
    told = zip(found.suggested.tolist(), found.margin.tolist(), strict=True)
    assert dict(zip(found.rows.tolist(), told, strict=True)) == expected
    assert found.margin.tolist() == sorted(found.margin.tolist())
    assert len(expected) > 5
