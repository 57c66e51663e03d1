import math

import pytest
import torch
from scipy.stats import binomtest

from fer_lightning.evaluation.measuring import mcnemar, wilson_interval


@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (3, 7), (385, 385), (271, 385)])
def test_the_interval_is_that_of_scipy(n_right, n):
    expected = binomtest(n_right, n).proportion_ci(method="wilson")
    assert wilson_interval(n_right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_ends_where_a_normal_test_just_rejects():
    low, high = wilson_interval(60, 80)
    for p in (low, high):  # |share - p| is 1.96 standard errors under p
        assert abs(0.75 - p) / math.sqrt(p * (1 - p) / 80) == pytest.approx(1.959964)


def test_nothing_has_no_interval():
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize(("b", "c"), [(1, 6), (5, 5), (30, 12), (0, 3)])
def test_the_p_value_is_that_of_a_fair_coin(b, c):
    first = torch.tensor([True] * (b + 4) + [False] * (c + 3))
    second = torch.tensor([False] * b + [True] * 4 + [True] * c + [False] * 3)
    found = mcnemar(first, second)
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    assert (found.only_first, found.only_second) == (b, c)
    assert found.p == pytest.approx(min(1, 2 * tail))


def test_classifiers_that_agree_do_not_differ():
    right = torch.tensor([True, False])
    assert mcnemar(right, right).p == 1
