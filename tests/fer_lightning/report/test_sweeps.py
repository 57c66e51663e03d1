import pytest

from fer_lightning.report.collection import collect
from fer_lightning.report.sweeps import Spread


@pytest.fixture
def sweep_of_four(write_sweep):
    """Two learning rates with two seeds each."""
    path = write_sweep(
        "2025_grid",
        ({"optim.lr": 0.1, "seed": 0}, 0.5),
        ({"optim.lr": 0.1, "seed": 1}, 0.7),
        ({"optim.lr": 0.01, "seed": 0}, 0.62),
        ({"optim.lr": 0.01, "seed": 1}, 0.64),
    )
    (found,) = collect([path]).sweeps
    return found


def test_seeds_are_what_is_averaged_over(sweep_of_four):
    assert (sweep_of_four.keys, sweep_of_four.repeated) == (["optim.lr"], ["seed"])
    assert [c.label for c in sweep_of_four.configurations] == ["lr 0.01", "lr 0.1"]
    spread = sweep_of_four.configurations[1].score("best", "val", "acc")
    # of 0.5 and 0.7: mean 0.6, and (0.1^2 + 0.1^2) / (2 - 1) is the variance
    assert (spread.mean, spread.std, spread.n) == pytest.approx((0.6, 0.02**0.5, 2))


def test_the_ranking_is_by_mean_validation_accuracy(sweep_of_four):
    assert [c.values["optim.lr"] for c in sweep_of_four.ranking()] == [0.01, 0.1]


def test_equal_accuracies_are_ranked_by_cross_entropy(write_sweep, write_run, tmp_path):
    path = write_sweep("s", ({"optim.lr": 0.1}, 0.5), ({"optim.lr": 0.2}, 0.5))
    write_run("s/2_run", (0.2, 0.5, 0.4), (1.9, 1.2, 1.3), ["optim.lr=0.3"])
    (found,) = collect([path]).sweeps
    assert found.ranking()[0].values == {"optim.lr": 0.3}


def test_values_are_in_the_order_of_numbers_not_of_text(write_sweep):
    runs = [({"model.hidden": size}, 0.5) for size in ([100, 200], [24, 48], [2, 4])]
    (found,) = collect([write_sweep("s", *runs)]).sweeps
    assert found.values("model.hidden") == [[2, 4], [24, 48], [100, 200]]


def test_a_setting_that_all_runs_share_is_not_swept(write_sweep):
    runs = [({"optim.lr": lr, "threads": 1}, 0.5) for lr in (0.1, 0.2)]
    (found,) = collect([write_sweep("s", *runs)]).sweeps
    assert found.keys == ["optim.lr"]


def test_an_unfinished_run_joins_its_sweep_by_what_was_given(write_sweep, tmp_path):
    path = write_sweep("s", ({"optim.lr": 0.1}, 0.5), ({"optim.lr": 0.2}, 0.6))
    (path / "1_run" / "summary.json").unlink()
    (found,) = collect([path]).sweeps
    assert [c.values["optim.lr"] for c in found.configurations] == [0.1, 0.2]
    assert found.ranking()[0].score("best", "val", "acc").mean == pytest.approx(0.6)


def test_runs_without_a_sweep_come_last_under_their_own_names(write_sweep, write_run, tmp_path):
    write_run("2024_train")
    write_sweep("2025_s", ({"optim.lr": 0.1}, 0.5), ({"optim.lr": 0.2}, 0.6))
    first, last = collect([tmp_path]).sweeps
    assert (first.path.name, last.path) == ("2025_s", None)
    assert [c.label for c in last.configurations] == ["2024_train"]


def test_the_spread_of_one_figure_has_no_deviation_and_of_none_does_not_exist():
    assert Spread.of([None, 0.5]) == Spread(0.5, None, 1)
    assert Spread.of([None]) is None
