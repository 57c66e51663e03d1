import math

import pytest

from fer_lightning.report.searches.scale import scale_of


def test_numbers_over_decades_are_logarithmic_unless_they_lie_evenly():
    assert scale_of([0.001, 0.01, 0.1]).kind == "log"
    assert scale_of([10, 20, 50, 100]).kind == "log"
    assert scale_of([0.01, 0.25, 0.5, 0.75, 1.0]).kind == "linear"
    assert scale_of([0, 0.5, 0.9]).kind == "linear"
    assert scale_of([1, 2, 4]).kind == "linear"  # less than a decade


def test_what_the_override_says_counts_more_than_the_values():
    assert scale_of([0.1, 0.2, 0.3], logarithmic=True).kind == "log"
    assert scale_of([0.001, 0.01, 0.1], logarithmic=False).kind == "linear"
    assert scale_of([0, 0.1], logarithmic=True).kind == "linear"  # zero has no logarithm


def test_places_are_shares_of_the_way_from_the_least_to_the_largest():
    log, linear = scale_of([0.001, 0.01, 0.1]), scale_of([0, 0.5, 2.0])
    assert [log.place(v) for v in (0.001, 0.01, 0.1)] == pytest.approx([0, 0.5, 1])
    assert [linear.place(v) for v in (0, 0.5, 2.0)] == [0, 0.25, 1]


@pytest.mark.parametrize(
    "values",
    [[[20], [60, 60], [120]], ["cnn", "mlp", "vgg"], [True, False, None], [math.nan, 1, "x"]],
)
def test_lists_and_words_are_spaced_evenly(values):
    scale = scale_of(values)
    assert scale.kind == "categories"
    assert [scale.place(value) for value in scale.values] == [0, 0.5, 1]
    assert [place for place, _ in scale.ticks()] == [0, 0.5, 1]


def test_few_values_are_all_named_and_of_many_numbers_round_ones():
    assert [name for _, name in scale_of([0.003, 0.01, 0.03, 0.1]).ticks()] == [
        *("0.003", "0.01", "0.03", "0.1"),
    ]
    many = [0.0012 * 1.07**i for i in range(95)]  # to 0.7
    assert [name for _, name in scale_of(many).ticks()] == ["0.01", "0.1"]
    assert len(scale_of([f"word {i:02}" for i in range(100)]).ticks()) <= 12


@pytest.mark.parametrize("values", [[5], [10**305, 1], [1e-320, 2e-320], [1e300, -1e300, 0]])
def test_strange_numbers_have_a_place(values):
    scale = scale_of(values)
    assert all(0 <= scale.place(value) <= 1 for value in values)
    assert scale.ticks() or len(values) > 1
