import json
import re
import sys
from datetime import datetime

import pytest

from fer_lightning.report.collection import collect
from fer_lightning.report.page import page
from fer_lightning.report.pictures import LEVELS, svg_of
from fer_lightning.report.runs import counted
from fer_lightning.report.searches.parallel import parallel_coordinates
from tests.fer_lightning.report.searches.conftest import HALVING, OPTUNA
from tests.fer_lightning.report.test_page import EVIL, Parsed

BEST, RUNGS, FRONT = "The best run so far", "Runs that came to", "The Pareto front"
SHARES, LINES = "Importance", "Each line is a run"
PRUNED = [{"stopped": f"at epoch {epoch} by MedianPruner"} for epoch in (1, 2)]


def runs(n, settings=("optim.lr", "optim.momentum"), facts=()):
    facts = [*facts, *[{}] * n]
    return [(dict.fromkeys(settings, 0.1 * i), [0.1 * (i + 1)], facts[i]) for i in range(n)]


@pytest.fixture
def shown(write_search):
    """The page about a search."""

    def make(sweeper, *told, **changes):
        return Parsed(page(collect([write_search(sweeper, *told, **changes)]), datetime.now()))

    return make


def starts(found):
    """Which figures of searches are there, in their order."""
    alts = [attrs["alt"] for tag, attrs in found.tags if tag == "img"]
    return [start for alt in alts for start in (BEST, RUNGS, FRONT, SHARES, LINES)
            if alt.startswith(start)]  # fmt: skip


def rows(found, table):
    """The texts of the page after the head of a section."""
    return "\n".join(found.text).partition(table)[2]


def test_a_search_shows_its_figures(shown):
    pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    assert starts(shown(OPTUNA, *runs(5))) == [BEST, SHARES, LINES]


def test_halving_shows_its_rungs_and_several_objectives_their_front(shown):
    sweeper = {**HALVING, "objectives": ["val/acc", "n_parameters"]}
    assert starts(shown(sweeper, *runs(3))) == [BEST, RUNGS, FRONT, LINES]


def test_a_plain_sweep_shows_lines_unless_heat_maps_show_all_of_it(shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    grid = [({"optim.lr": a, "optim.momentum": b}, [0.1 * a + 0.01 * b], {})
            for a in (1, 2) for b in (3, 4)]  # fmt: skip
    assert starts(shown({"_target_": "x"}, *grid)) == []


def test_a_plain_sweep_of_three_settings_shows_lines(shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    three = runs(4, ("optim.lr", "optim.momentum", "x"))
    assert starts(shown({"_target_": "x"}, *three)) == [LINES]


@pytest.mark.parametrize("missing", ["optuna", "sklearn"])
def test_without_its_packages_importance_is_one_line(shown, monkeypatch, missing):
    pytest.importorskip("optuna")
    monkeypatch.setitem(sys.modules, missing, None)
    found = shown(OPTUNA, *runs(5))
    assert starts(found) == [BEST, LINES]
    told = "How important each setting is, is shown with pip install -e '.[search]'."
    assert told in "".join(found.text)


def test_a_search_that_has_just_begun_is_shown(write_search):
    path = write_search(HALVING, *runs(3))
    for summary in path.glob("*/summary.json"):
        summary.unlink()
        (summary.parent / "metrics.csv").unlink()
    found = Parsed(page(collect([path]), datetime.now()))
    assert starts(found) == []
    assert "3 runs (3 unfinished)" in "".join(found.text)


def test_damaged_runs_of_a_search_are_left_out_of_its_figures(write_search):
    path = write_search({**HALVING, "objectives": ["val/acc", "seconds"]}, *runs(4))
    (path / "1_run" / "summary.json").write_text("{")
    (path / "2_run" / "metrics.csv").write_bytes(b"\x00")
    nothing = {"best": {"val": {"acc": "x"}}, "seconds": [], "stopped": {"x": 1}}
    (path / "3_run" / "summary.json").write_text(json.dumps(nothing))
    (path / "rungs.json").write_text('{"rungs": {}}')
    assert starts(Parsed(page(collect([path]), datetime.now())))[:2] == [BEST, RUNGS]


def test_names_of_settings_and_values_are_text_whatever_they_say(shown):
    told = [({"optim.lr": i, f"x.{EVIL}": EVIL + str(i)}, [0.1 * i], {}) for i in range(5)]
    found = shown(OPTUNA, *told)
    assert [tag for tag, _ in found.tags].count("script") == 1
    assert not any(key.startswith("on") for _, attrs in found.tags for key in attrs)


def test_runs_that_a_search_stopped_are_no_trouble(shown):
    found = shown(OPTUNA, *runs(4, facts=[*PRUNED, {"stopped": "at epoch 1"}]))
    text = " ".join(found.text)
    assert "2 stopped early by their search" in re.sub(r"\s+", " ", text)
    assert "1 not done" in re.sub(r"\s+", " ", text)
    trouble = rows(found, "What is known")
    assert "stopped at epoch 1\nIt pauses after epoch 1; resume= goes on." in trouble
    assert "Pruner" not in trouble


def test_stopped_runs_are_counted_by_who_stopped_them(write_search):
    stopped = [*PRUNED, {"stopped": "at rung 2"}, {"stopped": "at rung 1"}]
    path = write_search(OPTUNA, *runs(6, facts=stopped))
    told = "2 done, 1 stopped at rung 1, 1 stopped at rung 2, 2 stopped by MedianPruner"
    assert counted(collect([path]).runs) == told


def test_the_filter_has_one_choice_for_all_that_were_stopped(shown):
    found = shown(OPTUNA, *runs(4, facts=PRUNED))
    choices = [attrs["value"] for tag, attrs in found.tags if tag == "option"]
    assert choices == ["", "done", "stopped"]


def test_the_ranking_numbers_runs_and_says_how_they_ended(shown):
    found = shown(HALVING, *runs(3, facts=[{"stopped": "at rung 2"}]))
    ranking = rows(found, "Rank")
    assert ranking.startswith("\nRun\nlr\nmomentum\nStatus")
    assert "\n3\n1\n0\n0\nstopped at rung 2\n" in ranking  # the worst is run 1


def test_where_a_run_pauses_and_goes_on_is_no_setting(write_search):
    path = write_search(HALVING, *runs(3))
    for i, given in enumerate((["pause.epoch=1", "pause.rung=1"], ["resume='x'"], [])):
        (path / f"{i + 1}_run" / "summary.json").unlink()
        overrides = [f"optim.lr={i}", *given]
        (path / f"{i + 1}_run" / ".hydra" / "overrides.yaml").write_text(json.dumps(overrides))
    assert collect([path]).sweeps[0].keys == ["optim.lr"]


def test_lines_have_other_colours_on_a_dark_page(search):
    found = search(OPTUNA, *runs(3))
    svg = svg_of(parallel_coordinates(found.sweep.runs, found.sweep.keys, {}))
    light, dark = (re.search(rf"{start}svg{{([^}}]*)}}", svg)[1] for start in ("", r"dark\){"))
    assert f"--level15:{LEVELS[15]};" in light
    assert f"--level15:{LEVELS[15]};" not in dark
    assert "--level15:" in dark
    assert LEVELS[15].lower() not in svg
