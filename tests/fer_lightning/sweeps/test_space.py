import math
from random import Random

import pytest

from fer_lightning.errors import InputError
from fer_lightning.sweeps.searching.space import space_of


def test_a_grid_has_the_order_of_hydras_own():
    space = space_of({"optim.lr": "0.1,0.01"}, ["seed=range(0,3)", "model=mlp", "~schedule"])
    overrides = [space.overrides(values) for values in space.grid()]
    assert overrides == [
        [f"optim.lr={lr}", f"seed={seed}", "model=mlp", "~schedule"]
        for lr in ("0.1", "0.01")
        for seed in (0, 1, 2)
    ]


def test_the_command_line_counts_more_than_the_experiment():
    space = space_of({"optim.lr": "0.1,0.01", "seed": "0,1"}, ["optim.lr=0.5"])
    assert space.grid() == [(0,), (1,)]
    assert space.overrides((1,)) == ["seed=1", "optim.lr=0.5"]


def test_values_are_typed_as_they_were():
    space = space_of({}, ["model.hidden=[60],[60,30]", "x='a b','c'", "y=null,true,1,1.5"])
    hidden, words, mixed = (dimension.texts for dimension in space.dimensions)
    assert hidden == ("[60]", "[60,30]")
    assert words == ("'a b'", "'c'")
    assert [value.lower() for value in mixed] == ["null", "true", "1", "1.5"]
    one = space.dimensions[2]
    assert [one.text(value) for value in (True, 1)] == [mixed[1], "1"]


@pytest.mark.parametrize("shape", ["interval(1e-4,1)", "tag(log,interval(1e-4,1))"])
def test_what_is_drawn_is_even_on_its_scale(shape):
    space = space_of({}, [f"lr={shape}"])
    drawn = [values[0] for values in space.drawn(4000, Random(0))]
    assert min(drawn) >= 1e-4
    assert max(drawn) <= 1
    middle = 0.01 if "log" in shape else 0.5
    share = sum(value < middle for value in drawn) / len(drawn)
    assert abs(share - 0.5) < 4 * math.sqrt(0.25 / len(drawn))


def test_integers_are_drawn_evenly_with_both_ends():
    space = space_of({}, ["n=int(interval(3,5))", "x=interval(0,1)"])
    drawn = [values[0] for values in space.drawn(3000, Random(0))]
    for n in (3, 4, 5):
        assert abs(drawn.count(n) / 3000 - 1 / 3) < 4 * math.sqrt(2 / 9 / 3000)
    assert set(drawn) == {3, 4, 5}


def test_no_combination_is_drawn_twice():
    space = space_of({}, ["a=range(0,5)", "b=x,y"])
    assert sorted(space.drawn(10, Random(1))) == sorted(space.grid())
    with pytest.raises(InputError, match=r"hydra.sweeper.n_trials must be at most 10, got 11"):
        space.drawn(11, Random(1))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lr=tag(log,interval(0,1))", r"lr must be above 0 for tag\(log, ...\), got 0"),
        ("lr=interval(1,0.1)", "lr must be an interval from a number to a larger one"),
        ("lr=tag(square,interval(1,2))", "lr must have no tag but log, got 'square'"),
        ("lr=tag(log,choice(1,2))", "lr must be an interval or a range for tag"),
        ("lr=range(5,1)", "lr must be a range with values in it"),
        ("lr=1", "a search must have a setting that varies"),
    ],
)
def test_a_range_that_cannot_be_searched_is_told(override, message):
    with pytest.raises(InputError, match=message):
        space_of({}, [override])
