import numpy as np
import pytest

from fer_lightning.runs.metrics import Convergence, Curves, first_within, smoothed, turning_point


def test_a_run_is_near_its_best_from_the_first_epoch_within_a_point():
    acc = np.array([0.30, 0.748, 0.75, 0.70, 0.76, 0.755])
    assert first_within(acc, 0.01) == 2  # exactly one point below 0.76, and 0.748 is more
    assert first_within(np.array([0.09, 0.1]), 0.01) == 0  # though 0.1 - 0.01 > 0.09 in floats
    assert first_within(acc, 0.05) == 1
    assert first_within(np.array([np.nan, 0.4, np.nan]), 0.01) == 1
    assert first_within(np.array([np.nan]), 0.01) is None


def test_smoothing_takes_the_mean_with_the_neighbours_that_there_are():
    np.testing.assert_allclose(smoothed(np.array([1.0, 2, 6, 3, 9]), 1), [1.5, 3, 11 / 3, 6, 6])
    np.testing.assert_allclose(smoothed(np.array([4.0, 2]), 0), [4, 2])


def test_the_turning_point_of_a_parabola_is_its_vertex():
    epochs = np.arange(200)
    assert turning_point(1 + ((epochs - 120) / 100) ** 2) == 120


@pytest.mark.parametrize(
    "ce",
    [
        np.linspace(2, 1, 50),
        np.full(50, 1.9),
        1.9 + 0.04 * np.linspace(-1, 1, 50) ** 2,  # ends 2 % above its minimum
        np.array([1.5]),
        np.array([]),
        np.array([np.nan, np.inf]),
    ],
)
def test_a_curve_that_falls_stays_flat_or_is_too_short_does_not_turn(ce):
    assert turning_point(ce) is None


def test_one_jump_moves_no_turning_point():
    ce = 1 + ((np.arange(200) - 120) / 100) ** 2
    ce[30] = 0.5  # lower than all others, for one epoch
    assert abs(turning_point(ce) - 120) <= 10
    falls = np.linspace(2, 1, 60)
    falls[-1] = 20
    assert turning_point(falls) is None


def test_epochs_are_those_of_the_file():
    epoch = np.array([11.0, 12, 13, 14])  # a run that was gone on with
    acc, ce = np.array([0.1, 0.695, 0.7, 0.7]), np.array([2.0, 1.0, 1.5, 1.8])
    curves = Curves(epoch, ce, acc, ce, acc, acc)
    assert Convergence.of(curves) == Convergence(best=13, near_best=12, ce_turns=12)
