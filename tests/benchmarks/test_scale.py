from benchmarks import scale
from fer_lightning.data import SIZE


def test_a_run_on_as_many_faces_as_fer2013_holds_them_no_more_than_three_times():
    taken = scale.measured("faces", 35_887)
    assert taken["added"] < 3 * 35_887 * SIZE * SIZE
    assert taken["peak"] < 2**30
    assert taken["seconds"] > 0


def test_the_plot_begins_at_zero_and_has_a_panel_for_each_case(saved):
    rows = [{"size": n, "peak": 2**30 * n, "seconds": n} for n in (1, 2, 5, 10)]
    figure = saved(scale.drawing(dict.fromkeys(scale.CASES, rows)))
    assert len(figure.axes) == 2 * len(scale.CASES)
    assert all(axes.get_ylim()[0] == 0 == axes.get_xlim()[0] for axes in figure.axes)
