import numpy as np
import pytest

from fer_lightning.errors import InputError
from fer_lightning.runs.metrics import COLUMNS, read_curves, thinned


@pytest.fixture
def metrics(tmp_path):
    def write(*lines):
        path = tmp_path / "metrics.csv"
        path.write_text("\n".join([",".join(COLUMNS), *lines]))
        return path

    return write


def test_columns_are_read_by_name_with_nan_where_nothing_was_validated(metrics):
    curves = read_curves(metrics("1,1.9,0.2,1.8,0.3,0.5", "2,1.7,0.3,,,0.4", "3,nan,0.1,inf,0.2,1"))
    np.testing.assert_array_equal(curves.epoch, [1, 2, 3])
    np.testing.assert_array_equal(curves.of("val", "acc"), [0.3, np.nan, 0.2])
    np.testing.assert_array_equal(curves.of("train", "ce"), [1.9, 1.7, np.nan])
    assert curves.best_row() == 0


def test_a_run_that_has_no_epoch_yet_has_empty_curves(metrics):
    curves = read_curves(metrics())
    assert len(curves.epoch) == 0
    assert curves.best_row() is None


def test_a_last_line_that_was_cut_off_is_left_out(metrics):
    assert len(read_curves(metrics("1,1,1,1,1,1", "2,1.7,0")).epoch) == 1


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["1,2,3", "1,1,1,1,1,1"], "6 cells a row, got 3 in line 2"),
        (["1,1,x,1,1,1"], "must hold numbers: could not convert"),
    ],
)
def test_damage_is_named(metrics, lines, words):
    with pytest.raises(InputError, match=words):
        read_curves(metrics(*lines))


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00"])
def test_another_file_is_no_metrics(tmp_path, content):
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^metrics\.csv "):
        read_curves(path)


def test_thinning_keeps_every_jump_both_ends_and_the_order():
    x = np.arange(1.0, 10_001)
    y = np.sin(x / 700)
    y[[1234, 5678]] = (9.0, -9.0)
    fewer_x, fewer_y = thinned(x, y, buckets=50)
    assert len(fewer_x) <= 102
    assert (fewer_y.max(), fewer_y.min()) == (9, -9)
    assert (fewer_x[0], fewer_x[-1]) == (1, 10_000)
    assert (np.diff(fewer_x) > 0).all()
    np.testing.assert_array_equal(fewer_y, y[fewer_x.astype(int) - 1])


def test_thinning_keeps_both_ends_where_they_are_in_the_middle():
    x = np.arange(1.0, 1001)
    y = np.where(x % 2 == 0, 1.0, -1.0)
    y[[0, -1]] = 0
    assert [values[[0, -1]].tolist() for values in thinned(x, y, buckets=20)] == [[1, 1000], [0, 0]]


def test_short_curves_keep_all_their_finite_points():
    x, y = thinned(np.arange(4.0), np.array([1, np.nan, 3, np.inf]))
    assert (x.tolist(), y.tolist()) == ([0, 2], [1, 3])
