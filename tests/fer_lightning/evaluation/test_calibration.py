import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.classification import MulticlassCalibrationError

from fer_lightning.evaluation.calibration import (
    best_temperature,
    brier_score,
    negative_log_likelihood,
    reliability,
    scaled,
)


def drawn(n=20_000, C=4, seed=0):
    """Return log-probabilities and classes that were drawn from these, so they are calibrated."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, C, generator=generator, dtype=torch.float64)
    classes = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
    return logits.log_softmax(-1), classes


def test_calibrated_probabilities_have_little_error():
    shown = reliability(*drawn(50_000))
    assert shown.ece < 0.01
    assert shown.mean_confidence == pytest.approx(shown.mean_accuracy, abs=0.01)


def test_the_calibration_error_is_the_weighted_gap_of_the_bins():
    log_proba, classes = drawn(200)
    sharp = scaled(log_proba, 0.3)
    confidence, right = sharp.exp().max(-1).values.numpy(), (sharp.argmax(-1) == classes).numpy()
    gap = 0.0
    for b in range(15):
        inside = (confidence >= b / 15) & ((confidence < (b + 1) / 15) | (b == 14))
        if inside.any():
            gap += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    shown = reliability(sharp, classes)
    assert shown.ece == pytest.approx(gap)
    assert shown.ece > 0.1
    assert shown.counts.sum() == 200
    assert shown.certain == pytest.approx((confidence > 0.999).mean())
    expected = -np.log(sharp.exp().numpy()[np.arange(200), classes]).mean()
    assert shown.nll == pytest.approx(expected)


@pytest.mark.parametrize("factor", [0.2, 1, 500])
def test_the_temperature_that_was_put_in_is_found(factor):
    log_proba, classes = drawn()
    assert best_temperature(log_proba * factor, classes) == pytest.approx(factor, rel=0.05)


def test_no_temperature_on_a_grid_is_better():
    log_proba, classes = drawn(100, seed=3)
    found = best_temperature(log_proba, classes)
    losses = [
        negative_log_likelihood(scaled(log_proba, t), classes) for t in np.geomspace(0.05, 50, 400)
    ]
    assert negative_log_likelihood(scaled(log_proba, found), classes) <= min(losses) + 1e-9


def test_a_temperature_changes_no_answer_and_keeps_probabilities():
    log_proba, _ = drawn(50)
    soft = scaled(log_proba, 7.0)
    assert torch.equal(soft.argmax(-1), log_proba.argmax(-1))
    torch.testing.assert_close(soft.exp().sum(-1), torch.ones(50).double())


@pytest.mark.parametrize("temperature", [0.3, 1, 3])
def test_figures_equal_those_of_torchmetrics_and_scikit_learn(temperature):
    log_proba, classes = drawn(500, seed=5)
    log_proba = scaled(log_proba, temperature)
    proba = log_proba.exp()
    shown = reliability(log_proba, classes)
    ece = MulticlassCalibrationError(num_classes=4, n_bins=15, norm="l1")(proba, classes)
    assert shown.ece == pytest.approx(float(ece), abs=1e-6)
    assert shown.nll == pytest.approx(log_loss(classes, proba))
    truth = np.eye(4)[classes]
    assert shown.brier == pytest.approx(brier_score_loss(truth, proba, scale_by_half=False))


def test_the_brier_score_of_a_hand_calculation():
    proba = torch.tensor([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]).double()
    labels = torch.tensor([0, 1, 2])
    # (0.25 + 0.09 + 0.04) + 0 + (1 + 0 + 1), over three
    assert brier_score(proba.log(), labels) == pytest.approx(2.38 / 3)
