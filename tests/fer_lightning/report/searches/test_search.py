import os

import pytest

from fer_lightning.report.collection import collect
from fer_lightning.report.searches.rungs import Rung, races
from fer_lightning.report.searches.search import objective, search_of
from tests.fer_lightning.report.searches.conftest import HALVING, OPTUNA

GIVEN_UP = {"stopped": "at rung 1"}


def test_runs_come_in_the_order_in_which_their_logs_end(search, tmp_path):
    found = search(OPTUNA, *[({"optim.lr": lr}, [0.5], {}) for lr in (1, 2, 3)])
    line = "[2026-01-0{} 10:00:00,000][fer_lightning.training.run][INFO] x\n"
    begin = "[2025-01-01 10:00:00,000][fer_lightning.training.run][INFO] MLP\n"
    later = "[2027-01-01 10:00:00,000][fer_lightning.runs.summary][INFO] done already\n"
    for number, day in ((1, 3), (2, 1), (3, 2)):
        log = tmp_path / "search" / f"{number}_run" / "train.log"
        log.write_text(begin + line.format(day) + later)
    assert [run.folder.number for run in found.ended()] == [2, 3, 1]


def test_without_a_log_the_time_of_the_summary_counts(search, tmp_path):
    found = search(OPTUNA, *[({"optim.lr": lr}, [0.5], {}) for lr in (1, 2, 3)])
    for number, second in ((1, 30), (2, 10), (3, 20)):
        os.utime(tmp_path / "search" / f"{number}_run" / "summary.json", (second, second))
    assert [run.folder.number for run in found.ended()] == [2, 3, 1]


def test_runs_that_are_still_going_on_have_not_ended(search, write_search, tmp_path):
    path = write_search(OPTUNA, *[({"optim.lr": lr}, [0.5], {}) for lr in (1, 2)])
    (path / "1_run" / "summary.json").unlink()
    found = search_of(collect([path]).sweeps[0])
    assert [run.folder.number for run in found.ended()] == [2]


def test_objectives_are_figures_of_the_best_network_or_of_the_run(search):
    names = ["val/acc", "val/ce", "n_parameters"]
    found = search({**OPTUNA, "objectives": names}, ({"optim.lr": 1}, [0.3, 0.6, 0.5], {}))
    assert found.objectives == names
    (run,) = found.sweep.runs
    assert [objective(run, name) for name in names] == [60, 1.4, 37655]


def test_ranges_say_whether_they_are_logarithmic(search):
    task = ["optim.lr=tag(log,interval(0.001,1))", "x=interval(0,1)", "y=1,2", "z=3"]
    found = search(OPTUNA, ({"optim.lr": 0.1}, [0.5], {}), task=task)
    assert found.logarithmic == {"optim.lr": True, "x": False}


@pytest.mark.parametrize("content", ["", "- 1", "hydra: {sweeper: 1}", "a: [", "hydra: {}\n"])
def test_a_damaged_sweep_is_one_of_which_nothing_is_known(write_search, content):
    path = write_search(OPTUNA, ({"optim.lr": 1}, [0.5], {}))
    (path / "multirun.yaml").write_text(content)
    found = search_of(collect([path]).sweeps[0])
    assert (found.chose, found.objectives, found.logarithmic) == (False, ["val/acc"], {})


def test_objectives_and_overrides_that_do_not_exist_are_left_out(search):
    sweeper = {**OPTUNA, "objectives": ["beauty", ["x"], "val/ce"]}
    found = search(sweeper, ({"optim.lr": 1}, [0.5], {}), task=["a=interval(", "=", "{"])
    assert (found.objectives, found.logarithmic) == (["val/ce"], {})


def halving(*curves, **changes):
    stopped = [{} if len(curve) == 9 else GIVEN_UP for curve in curves]
    runs = [
        ({"optim.lr": i}, curve, s)
        for i, (curve, s) in enumerate(zip(curves, stopped, strict=True))
    ]
    return {**HALVING, **changes}, *runs


THREE = ([0.1] * 9, [0.1, 0.6, 0.3], [0.4])  # accuracies of runs that came to epochs 9, 3 and 1


@pytest.mark.parametrize(
    "content",
    [
        *(None, "{", "[]", '{"rungs": 3}', '{"rungs": [{"epoch": 1}]}'),
        '{"rungs": [{"bracket": 1, "epoch": 1e999, "runs": []}]}',
        '{"rungs": [{"bracket": 1, "epoch": 1, "runs": []}]}',
    ],
)
def test_rungs_follow_from_the_curves_where_no_file_tells_of_them(search, tmp_path, content):
    found = search(*halving(*THREE, method="asynchronous"))
    if content is not None:
        (tmp_path / "search" / "rungs.json").write_text(content)
    assert races(found) == [[Rung(1, 3, 0.4), Rung(3, 2, 0.6), Rung(9, 1, 0.1)]]


def test_rungs_of_brackets_are_those_of_the_file(search, tmp_path):
    found = search(*halving(*THREE, method="hyperband"))
    rungs = [(1, 1, [2, 3]), (1, 3, [2]), (2, 9, [1, 7])]  # of run 7 the folder is gone
    told = ", ".join(f'{{"bracket": {b}, "epoch": {e}, "runs": {runs}}}' for b, e, runs in rungs)
    (tmp_path / "search" / "rungs.json").write_text(f'{{"rungs": [{told}]}}')
    assert races(found) == [[Rung(1, 2, 0.4), Rung(3, 1, 0.6)], [Rung(9, 2, 0.1)]]


@pytest.mark.parametrize("changes", [{"eta": 1}, {"min_epochs": "x"}, {"min_epochs": 0}])
def test_rungs_of_strange_settings_are_not_known(search, changes):
    assert races(search(*halving(*THREE, **changes))) == []
