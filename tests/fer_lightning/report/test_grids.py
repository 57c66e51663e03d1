import itertools

import pytest

from fer_lightning.report.collection import collect
from fer_lightning.report.sweeps import Grid, arranged, grid_of


def grid_runs(*axes):
    keys = ("data.batch_size", "optim.momentum", "optim.lr")
    return [
        (dict(zip(keys, values, strict=False)), 0.5 + 0.01 * i)
        for i, values in enumerate(itertools.product(*axes))
    ]


@pytest.fixture
def sweep(write_sweep):
    def make(*runs):
        return collect([write_sweep("s", *runs)]).sweeps[0]

    return make


def test_learning_rates_lie_across_and_momenta_down(sweep):
    found = sweep(*grid_runs([10, 100], [0, 0.9], [0.01, 0.1, 1.0]))
    assert grid_of(found) == Grid("optim.lr", "optim.momentum", ["data.batch_size"])


def test_panels_stand_in_the_rows_and_columns_of_the_grid(sweep):
    panels, columns = arranged(sweep(*grid_runs([10, 100], [0, 0.9], [0.01, 0.1, 1.0])), 75)
    assert columns == 3
    told = [tuple(panel.values.values()) for panel in panels]
    assert told == list(itertools.product([10, 100], [0, 0.9], [0.01, 0.1, 1.0]))


def test_one_setting_and_settings_that_go_together_are_no_grid(sweep, write_sweep):
    assert grid_of(sweep(({"optim.lr": 0.1}, 0.5), ({"optim.lr": 0.2}, 0.6))) is None
    together = [({"model": m, "optim.lr": lr}, 0.5) for m, lr in (("mlp", 1), ("cnn", 2), ("x", 3))]
    found = collect([write_sweep("t", *together)]).sweeps[0]
    assert grid_of(found) is None
    assert arranged(found, 75)[1] == 3


def test_of_too_many_configurations_the_best_are_shown_in_the_order_of_their_values(sweep):
    found = sweep(
        *[({"optim.lr": lr}, acc) for lr, acc in ((1, 0.5), (2, 0.7), (3, 0.4), (4, 0.6))]
    )
    panels, _ = arranged(found, 2)
    assert [panel.values["optim.lr"] for panel in panels] == [2, 4]
