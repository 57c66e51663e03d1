import itertools

import numpy as np
import pytest
import torch

from fer_lightning.evaluation.measuring import risk_coverage


def curve_of_one_order(right):
    wrong = [not answer for answer in right]
    return [sum(wrong[:n]) / n for n in range(1, len(wrong) + 1)]


def test_the_curve_of_a_hand_calculation():
    found = risk_coverage(
        torch.tensor([0.9, 0.3, 0.6, 0.5]), torch.tensor([True, False, False, True])
    )
    # the surest is right, the next wrong, then right, then wrong
    assert found.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert found.risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert found.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


@pytest.mark.parametrize(
    "confidence", [[0.9, 0.5, 0.5, 0.5, 0.2], [0.4] * 5, [0.8, 0.8, 0.7, 0.3, 0.3]]
)
def test_ties_count_as_the_mean_over_all_their_orders(confidence):
    right = [True, False, True, True, False]
    orders = [
        order
        for order in itertools.permutations(range(5))
        if [confidence[i] for i in order] == sorted(confidence, reverse=True)
    ]
    curves = [curve_of_one_order([right[i] for i in order]) for order in orders]
    found = risk_coverage(torch.tensor(confidence), torch.tensor(right))
    np.testing.assert_allclose(found.risk, np.mean(curves, 0))
    assert found.area == pytest.approx(np.mean(curves))


def test_the_order_of_the_points_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    confidence = torch.randint(20, (100,), generator=generator) / 20
    right = torch.rand(100, generator=generator) < confidence
    shuffled = torch.randperm(100, generator=generator)
    first = risk_coverage(confidence, right)
    second = risk_coverage(confidence[shuffled], right[shuffled])
    torch.testing.assert_close(first.risk, second.risk)
    assert first.risk[-1] == pytest.approx(1 - right.double().mean())
