import numpy as np
import pytest
from matplotlib.colors import to_hex

from fer_lightning.plots import VERMILION
from fer_lightning.report.curve_figures import curve_panels
from fer_lightning.report.pictures import LEVELS, drawing
from fer_lightning.report.searches.front import front_of, front_scatter
from fer_lightning.report.searches.funnel import funnels
from fer_lightning.report.searches.importance import importance_bars, importances
from fer_lightning.report.searches.parallel import parallel_coordinates
from fer_lightning.report.searches.progress import progress
from fer_lightning.report.searches.rungs import Rung
from fer_lightning.report.sweeps import arranged
from tests.fer_lightning.report.searches.conftest import OPTUNA

PRUNED = {"stopped": "at epoch 1 by MedianPruner"}
NOTHING = {"epoch": None, "train": {}, "val": {}, "test": {}}
DIVERGED = {"diverged": True, "diverged_epoch": 1, "best": NOTHING, "final": NOTHING}


def lines_of(axes):
    """The points of all lines with a name, by name."""
    named = [line for line in axes.lines if not line.get_label().startswith("_")]
    return {line.get_label(): np.stack(line.get_data(), -1).tolist() for line in named}


@pytest.fixture
def four(search):
    """Runs that end in the order of their numbers: 30, 50, none and 40 percent."""
    settings = [{"optim.lr": lr, "model.hidden": [h]} for lr, h in
                ((0.001, 20), (0.01, 60), (1.0, 60), (0.1, 120))]  # fmt: skip
    curves, facts = ([0.3], [0.5], [0.1], [0.4]), ({}, {}, DIVERGED, PRUNED)
    facts = [{"seconds": 100.0, "n_parameters": 10 * i, **each} for i, each in enumerate(facts, 1)]
    return search(OPTUNA, *zip(settings, curves, facts, strict=True))


def test_progress_shows_each_run_and_the_best_up_to_it(four, saved, texts):
    figure = saved(progress(four.ended(), "val/acc"))
    left, right = (lines_of(axes) for axes in figure.axes)
    assert left["trained to the end"] == [[1, 30], [2, 50]]
    assert left["stopped early"] == [[4, 40]]
    assert [x for x, _ in left["without a figure"]] == [3]
    assert [y for _, y in left["best so far"]] == [30, 50, 50, 50, 50]
    minutes = np.array([100, 200, 400]) / 60
    assert [x for x, _ in [*right["trained to the end"], *right["stopped early"]]] == pytest.approx(
        minutes
    )
    assert figure.axes[1].get_xlabel() == "minutes of training, of all runs together"
    assert "run 2: 50 %" in texts(figure)


def test_progress_of_what_is_minimised_goes_down(four, saved, texts):
    figure = saved(progress(four.ended(), "n_parameters"))
    assert [y for _, y in lines_of(figure.axes[0])["best so far"]] == [10] * 5
    assert "run 1: 10" in texts(figure)


def test_parallel_lines_go_from_settings_to_accuracy_the_best_on_top(four, saved, texts):
    runs = [run for run in four.sweep.runs if run.status != "diverged"]
    figure = saved(parallel_coordinates(runs, four.sweep.keys, {}))
    (lines,) = figure.axes[0].collections
    # 0.001 to 0.1 is logarithmic, the sizes are evenly spaced; 30 to 50 percent
    expected = [[0, 0, 0], [1, 1, 0.5], [0.5, 0.5, 1]]
    assert [line[:, 1].tolist() for line in lines.get_segments()] == [
        pytest.approx(each) for each in expected
    ]
    assert [to_hex(color).upper() for color in lines.get_colors()][::2] == [LEVELS[0], LEVELS[-1]]
    told = texts(figure)
    assert {"lr (log)", "hidden", "val acc, %", "0.001", "0.01", "0.1", "20", "60", "120"} <= {
        *told
    }


def test_colours_of_the_bar_are_those_of_lines_that_end_there(search, saved):
    runs = [({"optim.lr": 0.1 * i}, [0.3 + 0.001 * i**1.5], {}) for i in range(1, 60)]
    found = search(OPTUNA, *runs)
    axes = saved(parallel_coordinates(found.sweep.runs, ["optim.lr"], {})).axes[0]
    bars = [bar for bar in axes.patches if bar.get_fill()]
    (lines,) = axes.collections
    for line, color in zip(lines.get_segments(), lines.get_colors(), strict=True):
        beneath = [bar for bar in bars if bar.get_y() <= line[-1, 1] + 1e-9][-1]
        assert to_hex(beneath.get_facecolor()) == to_hex(color)


def test_runs_with_the_same_setting_lie_side_by_side_within_the_axis(search):
    runs = [({"optim.momentum": i % 2, "optim.lr": i}, [0.3 + 0.001 * i], {}) for i in range(200)]
    found = search(OPTUNA, *runs)
    (lines,) = parallel_coordinates(found.sweep.runs, ["optim.momentum"], {}).axes[0].collections
    places = np.array([line[0, 1] for line in lines.get_segments()])
    assert len({*places.round(9)}) == 200
    assert places.min() >= 0
    assert places.max() <= 1
    assert places[::2].max() < places[1::2].min()  # the values stay apart


def test_equal_accuracies_and_one_run_are_drawn(search, saved):
    found = search(OPTUNA, *[({"optim.lr": lr}, [0.5], {}) for lr in (1, 2)])
    saved(parallel_coordinates(found.sweep.runs, found.sweep.keys, {}))
    saved(parallel_coordinates(found.sweep.runs[:1], ["optim.lr"], {}))


def test_funnels_tell_runs_and_accuracies_and_their_bars_are_in_proportion(saved, texts):
    race, other = [Rung(1, 9, 0.25), Rung(3, 3, None), Rung(9, 1, 0.5)], [Rung(9, 3, 0.4)]
    figure = saved(funnels([race, other]))
    assert sorted(texts(figure)) == sorted([
        *("bracket 1", "bracket 2", "epoch 1", "epoch 3", "epoch 9"),
        *("9 runs\nbest 25.0 %", "3 runs", "1 run\nbest 50.0 %", "3 runs\nbest 40.0 %"),
    ])  # fmt: skip
    bars = [patch for patch in figure.axes[0].patches if hasattr(patch, "get_width")]
    widths = np.array([bar.get_width() for bar in bars])
    assert widths / widths[0] == pytest.approx([1, 1 / 3, 1 / 9, 1 / 3])
    assert bars[2].get_y() == bars[3].get_y()  # epoch 9 of both


def test_a_single_run_among_thousands_has_a_bar_that_is_seen(saved):
    figure = saved(funnels([[Rung(1, 10_000, 0.5), Rung(3, 1, 0.6)]]))
    widths = [p.get_width() for p in figure.axes[0].patches if hasattr(p, "get_width")]
    assert 72 * widths[1] >= 1  # points


def test_the_front_is_marked_and_numbered(search, saved, texts):
    runs = [(10, 0.3), (20, 0.5), (20, 0.5), (30, 0.4), (40, 0.6)]
    names = ["val/acc", "n_parameters"]
    found = search({**OPTUNA, "objectives": names}, *[
        ({"optim.lr": i}, [acc], {"n_parameters": n}) for i, (n, acc) in enumerate(runs)
    ])  # fmt: skip
    whole, in_front = front_of(found.ended(), names)
    figure = saved(front_scatter(whole, in_front, names))
    points = lines_of(figure.axes[0])
    assert points["Pareto front"] == [[10, 30], [20, 50], [20, 50], [40, 60]]
    assert points["other runs"] == [[30, 40]]
    assert {"1", "2, 3", "5"} == {text for text in texts(figure) if text}


def test_numbers_in_a_crowded_front_leave_each_other_room(search, saved, texts):
    names = ["val/acc", "seconds"]
    found = search({**OPTUNA, "objectives": names}, *[
        ({"optim.lr": i}, [0.3 + 0.001 * i], {"seconds": 10.0 + i}) for i in range(150)
    ])  # fmt: skip
    with drawing():
        figure = saved(front_scatter(*front_of(found.ended(), names), names))
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert 10 < len(boxes) < 150
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(figure.bbox.padded(1).contains(*corner) for box in boxes for corner in box.corners())


def test_importance_is_that_of_the_setting_that_decides(search, saved, texts):
    pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    runs = [({"optim.lr": lr, "model.hidden": [h], "optim.momentum": m},
             [0.2 + 0.2 * lr + 0.1 * (h > 30)], {})
            for lr in (1, 2, 3) for h in (20, 60) for m in (0, 0.5, 0.9)]  # fmt: skip
    found = search(OPTUNA, *runs)
    shares = importances(found.ended(), found.sweep.keys, {}, "val/acc")
    # the variances: 0.04 * 2 / 3 of the rate, 0.05 squared of the sizes, none of the momentum
    rate, size = 0.04 * 2 / 3, 0.0025
    assert list(shares) == ["optim.lr", "model.hidden", "optim.momentum"]
    assert shares["optim.lr"] == pytest.approx(rate / (rate + size), abs=0.03)
    figure = saved(importance_bars({"val/acc": shares}))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        *("lr", "hidden", "momentum"),
    ]
    assert texts(figure)[0] == f"{100 * shares['optim.lr']:.0f} %"


def test_runs_that_diverged_count_as_the_worst(search):
    pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    runs = [({"optim.lr": lr, "x": x}, [0.5 + 0.01 * x], DIVERGED if lr == 2 else {})
            for lr in (1, 2) for x in (0, 1, 2)]  # fmt: skip
    found = search(OPTUNA, *runs)
    assert importances(found.ended(), found.sweep.keys, {}, "val/acc")["optim.lr"] > 0.2


@pytest.mark.parametrize("accuracies", [[0.5] * 9, [0.4, 0.5, 0.6]])
def test_runs_that_are_alike_or_few_tell_no_importance(search, accuracies):
    found = search(OPTUNA, *[({"optim.lr": i}, [acc], {}) for i, acc in enumerate(accuracies)])
    assert importances(found.ended(), found.sweep.keys, {}, "val/acc") is None


def test_the_best_so_far_has_the_colour_of_its_line_in_the_legend(four, saved):
    (legend,) = saved(progress(four.ended(), "val/acc")).legends
    colors = {
        t.get_text(): h.get_color()
        for t, h in zip(legend.texts, legend.legend_handles, strict=True)
    }
    assert colors["best so far"] == VERMILION


def test_titles_of_curves_that_do_not_fit_begin_with_the_numbers_of_runs(search, texts):
    keys = [f"optim.a_rather_long_setting_{i}" for i in range(6)]
    found = search(OPTUNA, *[(dict.fromkeys(keys, 0.1 * i), [0.5], {}) for i in (3, 1, 2)])
    panels, columns = arranged(found.sweep, 9)
    told = texts(curve_panels(panels, "acc", columns))
    assert [text.partition(",")[0] for text in told if text.startswith("run")] == [
        *("run\xa02", "run\xa03", "run\xa01"),
    ]
