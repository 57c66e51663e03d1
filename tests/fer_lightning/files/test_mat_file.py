import numpy as np
import pytest
from scipy.io import savemat

from fer_lightning.errors import InputError
from fer_lightning.files.mat_file import read_mat


@pytest.mark.parametrize("packed", [False, True])
def test_arrays_are_read_and_others_passed_over(packed, tmp_path):
    kept = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.array([[0.5]])}
    savemat(tmp_path / "x.mat", {**kept, "c": {"x": 1}}, do_compression=packed)
    found = read_mat(tmp_path / "x.mat", ["a", "b", "z"], 10**6)
    for name, array in kept.items():
        np.testing.assert_array_equal(found[name], array)
    assert not {"c", "z"} & set(found)


@pytest.mark.parametrize("packed", [False, True])
def test_the_bound_is_on_what_the_arrays_take(packed, tmp_path):
    savemat(tmp_path / "x.mat", {"a": np.zeros(1000)}, do_compression=packed)
    assert read_mat(tmp_path / "x.mat", ["a"], 9000)["a"].shape == (1, 1000)
    with pytest.raises(InputError, match=r"x\.mat: must have at most 8000 bytes"):
        read_mat(tmp_path / "x.mat", ["a"], 8000)


def test_what_is_not_numbers_is_refused_only_where_it_is_wanted(tmp_path):
    savemat(tmp_path / "x.mat", {"a": np.zeros(3), "text": "abc"})
    assert set(read_mat(tmp_path / "x.mat", ["a"], 10**6)) >= {"a"}
    with pytest.raises(InputError, match="text must be an array of numbers, got char"):
        read_mat(tmp_path / "x.mat", ["text"], 10**6)
