import numpy as np
import pytest
import torch

from gmm.calibration import reliability
from gmm.face_sheet import face_sheet, padded
from gmm.figures import (
    count_table,
    error_curves,
    likelihood_curves,
    mixing_bars,
    reliability_diagram,
)


def saved(figure, tmp_path):
    """Save the figure, which draws all of it and must not warn; return it."""
    figure.savefig(tmp_path / "figure.png")
    return figure


def texts(figure):
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    return [text.get_text() for text in figure.texts] + inside


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (7, 3), (40, 10)])
def test_faces_stand_in_reading_order(tmp_path, n, columns):
    faces = torch.rand(n, 16)
    captions = [f"face {i}" for i in range(n)]
    figure = saved(face_sheet("Some faces", faces, columns, captions), tmp_path)
    canvas = figure.axes[0].images[0].get_array()
    left, above = 4 + 4, canvas.shape[0] // -(-n // columns)
    for i, face in enumerate(faces):
        row, column = divmod(i, columns)
        tile = canvas[row * above : (row + 1) * above, column * left : column * left + 4]
        np.testing.assert_array_equal(tile[-4:].filled(np.nan), face.reshape(4, 4))
    assert texts(figure) == ["Some faces", *captions]


def test_missing_faces_stay_empty_and_rows_have_names(tmp_path):
    rows = [torch.rand(2, 16), torch.rand(0, 16), torch.rand(3, 16)]
    faces = padded(rows, 3)
    assert faces.shape == (9, 16)
    assert faces.isnan().all(-1).tolist() == [False, False, *[True] * 4, *[False] * 3]
    figure = saved(face_sheet("Rows", faces, 3, rows=["a", "b", "c"]), tmp_path)
    assert texts(figure) == ["Rows", "a", "b", "c"]


def test_variances_have_a_scale_that_begins_at_zero(tmp_path):
    figure = saved(face_sheet("V", torch.full((2, 16), 0.3), 2, unit="variance"), tmp_path)
    assert figure.axes[1].get_title() == "variance"
    assert figure.axes[0].images[0].get_clim() == pytest.approx((0, 0.3))


@pytest.mark.parametrize("K", [1, 40])
def test_bars_are_as_high_as_the_weights(tmp_path, K):
    weights = torch.rand(K).softmax(-1)
    bars = saved(mixing_bars(weights), tmp_path).axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx(weights.tolist())


def test_curves_show_all_restarts_and_where_the_best_came_near_its_end(tmp_path):
    several = torch.tensor([[-5.0, -2.0, -1.0], [-4.0, -1.0, torch.nan]])
    curves = {"random": (several, 0, 2), "kmeans": (several[:1], 0, None)}
    axes = saved(likelihood_curves(curves), tmp_path).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["random: within 0.1 % of its end at iteration 2", "kmeans"]
    drawn = [line.get_ydata() for line in axes.lines]
    for curve in several:
        assert any(np.array_equal(np.ravel(y), curve, equal_nan=True) for y in drawn)
    assert [-2.0] in [np.ravel(y).tolist() for y in drawn]


def test_tables_say_counts_and_shares_of_the_row(tmp_path):
    counts = torch.tensor([[3, 1], [0, 0]])
    figure = saved(count_table("T", counts, ["a", "b"], ["x", "y"], ("row", "column")), tmp_path)
    assert texts(figure) == ["3 (75%)", "1 (25%)", "0 (0%)", "0 (0%)"]


@pytest.mark.parametrize("sizes", [[5], [7, 14, 21]])
def test_errors_of_all_splits_are_drawn(tmp_path, sizes):
    errors = {s: [0.1 * (i + 1) for i in range(len(sizes))] for s in ("train", "val", "test")}
    axes = saved(error_curves(sizes, errors, sizes[-1]), tmp_path).axes[0]
    assert [line.get_label() for line in axes.lines[:3]] == list(errors)
    assert texts(axes.figure) == [f"K = {sizes[-1]}"]
    assert np.ravel(axes.lines[3].get_data()) == pytest.approx([sizes[-1], errors["val"][-1]])


def test_reliability_shows_the_share_of_right_answers_of_every_bin(tmp_path):
    proba = torch.tensor([[0.95, 0.05], [0.92, 0.08], [0.35, 0.65]]).double()
    shown = reliability(proba.log(), torch.tensor([0, 1, 1]))
    figure = saved(reliability_diagram({"As fitted": shown}, 0.5), tmp_path)
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([1.0, 0.5])
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert axes.get_title(loc="left").startswith("As fitted\nECE 0.4")
