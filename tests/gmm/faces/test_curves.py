import numpy as np
import pytest
import torch

from gmm.faces.curves import error_curves, factor_curves, likelihood_curves, mixing_bars


@pytest.mark.parametrize("K", [1, 40])
def test_bars_are_as_high_as_the_weights(saved, K):
    weights = torch.rand(K).softmax(-1)
    bars = saved(mixing_bars(weights)).axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx(weights.tolist())


def test_curves_show_all_restarts_and_where_the_best_came_near_its_end(saved, texts):
    several = torch.tensor([[-5.0, -2.0, -1.0], [-4.0, -1.0, torch.nan]])
    curves = {"random": (several, 0, 2), "kmeans": (several[:1], 0, None)}
    axes = saved(likelihood_curves(curves)).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["random: within 0.1 % of its end at iteration 2", "kmeans"]
    drawn = [line.get_ydata() for line in axes.lines]
    for curve in several:
        assert any(np.array_equal(np.ravel(y), curve, equal_nan=True) for y in drawn)
    assert [-2.0] in [np.ravel(y).tolist() for y in drawn]


@pytest.mark.parametrize("sizes", [[5], [7, 14, 21]])
def test_errors_of_all_splits_are_drawn(saved, texts, sizes):
    errors = {s: [0.1 * (i + 1) for i in range(len(sizes))] for s in ("train", "val", "test")}
    axes = saved(error_curves(sizes, errors, sizes[-1])).axes[0]
    assert [line.get_label() for line in axes.lines[:3]] == list(errors)
    assert texts(axes.figure) == [f"K = {sizes[-1]}"]
    assert np.ravel(axes.lines[3].get_data()) == pytest.approx([sizes[-1], errors["val"][-1]])


def test_errors_of_every_number_of_factors_are_drawn(saved, texts):
    sizes, rng = [1, 3], np.random.default_rng(0)
    errors = {q: {s: rng.random(2).tolist() for s in ("train", "val", "test")} for q in (1, 5, 20)}
    figure = saved(factor_curves(sizes, errors, 3, 5))
    axes = figure.axes[0]
    drawn = {line.get_label(): np.ravel(line.get_ydata()).tolist() for line in axes.lines}
    chosen = drawn.pop("_chosen")
    words = {1: "1 factor", 5: "5 factors", 20: "20 factors"}
    assert drawn == {f"{words[q]}, {s}": e[s] for q, e in errors.items() for s in e}
    assert chosen == [errors[5]["val"][1]]
    assert "K = 3\n5 factors" in texts(figure)
    colors = {line.get_label().split()[0]: line.get_color() for line in axes.lines[:9]}
    assert len({tuple(color) for color in colors.values()}) == 3
