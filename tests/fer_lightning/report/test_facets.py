import numpy as np
import pytest

from fer_lightning.report.facets import Facet, draw_lines, facets


def test_points_lie_between_the_axes_and_jumps_at_the_top():
    facet = Facet(left=1, bottom=2, width=4, height=3, x_end=100, y_end=6)
    placed = facet.place(np.array([0.0, 50, 100, 25]), np.array([0.0, 2, 6, 99]))
    np.testing.assert_allclose(placed, [[1, 2], [3, 3], [5, 5], [2, 5]])


def test_ticks_stay_inside_the_panel_and_epochs_are_whole():
    x, y = Facet(0, 0, 1, 1, x_end=2, y_end=0.37).ticks()
    assert x.tolist() == [0, 1, 2]
    assert y.max() <= 0.37


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (7, 3), (75, 5)])
def test_panels_stand_in_reading_order_without_touching(n, columns):
    axes, placed = facets(n, columns, n_lines=2, x_ends=[30], y_end=1)
    width, height = axes.get_xlim()[1], axes.get_ylim()[1]
    assert len(placed) == n
    for i, facet in enumerate(placed):
        assert facet.left > 0
        assert facet.bottom > 0
        assert facet.left + facet.width < width
        assert facet.bottom + facet.height < height
        if i % columns:
            before = placed[i - 1]
            assert facet.left > before.left + before.width
            assert facet.bottom == before.bottom
        if i >= columns:
            assert facet.bottom + facet.height < placed[i - columns].bottom


def test_panels_have_ends_of_their_own_where_there_are_several():
    _, placed = facets(3, 2, 1, x_ends=[3, 30, 1000], y_end=1)
    assert [facet.x_end for facet in placed] == [3, 30, 1000]


def test_lines_are_not_joined_to_each_other():
    axes, _ = facets(1, 1, 1, [1], 1)
    draw_lines(axes, [np.array([[0, 0], [1, 1]]), np.array([[2, 2], [3, 3]])], color="k", width=1)
    assert np.isnan(axes.lines[0].get_xdata()).tolist() == [False, False, True, False, False, True]
