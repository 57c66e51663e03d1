import pickle

import numpy as np
import pytest
from scipy.io import savemat

from fer_lightning.data.sources.tfd import Tfd
from fer_lightning.errors import InputError


@pytest.fixture
def npz(tmp_path, npz_arrays):
    def write(**changes):
        path = tmp_path / "toronto_face.npz"
        arrays = {k: v for k, v in {**npz_arrays, **changes}.items() if v is not None}
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture
def mat(tmp_path, mat_arrays):
    def write(**changes):
        path = tmp_path / "TFD_48x48.mat"
        savemat(path, {k: v for k, v in {**mat_arrays, **changes}.items() if v is not None})
        return path

    return write


def test_the_npz_gives_pixels_and_labels_of_its_splits(npz, drawn):
    splits = Tfd(npz()).read()
    for number, (_, faces) in enumerate(splits):
        rows = drawn.splits == number
        np.testing.assert_array_equal(faces.images[:, 0], drawn.pixels[rows])
        np.testing.assert_array_equal(faces.labels, drawn.labels[rows])


def test_whole_numbers_stored_as_floats_and_labels_in_a_column_are_read(npz, npz_arrays):
    train = (
        Tfd(
            npz(
                inputs_train=npz_arrays["inputs_train"].astype(float),
                target_train=npz_arrays["target_train"][:, None].astype(float),
            )
        )
        .read()
        .train
    )
    np.testing.assert_array_equal(train.images.flatten(1), npz_arrays["inputs_train"])
    np.testing.assert_array_equal(train.labels, npz_arrays["target_train"])


@pytest.mark.parametrize("fold", range(5))
def test_the_mat_gives_the_labelled_faces_of_a_fold(mat, mat_arrays, drawn, fold):
    splits = Tfd(mat(), fold=fold).read()
    for number, (_, faces) in enumerate(splits, 1):
        rows = np.flatnonzero(mat_arrays["folds"][:, fold] == number)
        np.testing.assert_array_equal(faces.images[:, 0], drawn.pixels[rows])
        np.testing.assert_array_equal(faces.labels, drawn.labels[rows])
        np.testing.assert_array_equal(faces.subjects, rows // 2)
        np.testing.assert_array_equal(faces.index, rows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs_valid": None}, ("inputs_valid", "missing")),
        ({"target_test": np.array([7] * 7)}, ("target_test", "0..6", "got 7 in row 0")),
        ({"target_test": np.array([0, 1, -1, 3, 4, 5, 6])}, ("target_test", "got -1 in row 2")),
        ({"target_valid": np.arange(6)}, ("target_valid", "as many rows", "(7)", "got 6")),
        ({"inputs_test": np.zeros((7, 2303))}, ("inputs_test", "(N, 2304)", "(7, 2303)")),
        ({"inputs_test": np.full((7, 2304), 256)}, ("inputs_test", "0..255", "got 256 in row 0")),
        ({"inputs_test": np.full((7, 2304), np.nan)}, ("inputs_test", "got nan in row 0")),
        ({"inputs_test": np.full((7, 2304), 0.5)}, ("inputs_test", "whole", "got 0.5 in row 0")),
        ({"inputs_test": np.zeros((0, 2304)), "target_test": np.zeros(0)}, ("test", "none")),
        ({"inputs_test": np.full((7, 2304), "a")}, ("inputs_test", "numbers")),
    ],
)
def test_a_bad_array_of_the_npz_is_named(npz, changes, words):
    with pytest.raises(InputError) as caught:
        Tfd(npz(**changes)).read()
    for word in ("toronto_face.npz", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folds": None}, ("folds", "missing")),
        ({"labs_ex": np.full((33, 1), 8)}, ("labs_ex", "1..7", "got 8 in row 0")),
        ({"labs_ex": np.ones((32, 1))}, ("labs_ex", "as many rows", "got 32")),
        ({"images": np.zeros((33, 48, 47))}, ("images", "(33, 48, 47)")),
        ({"folds": np.repeat([1, 0], [28, 5])[:, None] * np.ones(5)}, ("val", "none")),
        ({"folds": np.ones((33, 4))}, ("folds", "(N, 5)")),
        ({"folds": np.full((33, 5), 4)}, ("folds", "0..3", "got 4")),
    ],
)
def test_a_bad_array_of_the_mat_is_named(mat, changes, words):
    with pytest.raises(InputError) as caught:
        Tfd(mat(**changes)).read()
    for word in ("TFD_48x48.mat", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("fold", [-1, 5, 9, "0", 1.0, True])
def test_a_fold_that_does_not_exist_is_refused(mat, fold):
    with pytest.raises(InputError, match="fold must be an integer from 0 to 4"):
        Tfd(mat(), fold=fold)


def test_an_npz_that_needs_pickle_is_never_unpickled(npz, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = npz(target_train=np.array([Bomb()] * 14, dtype=object))
    with pytest.raises(InputError, match=r"target_train needs pickle"):
        Tfd(path).read()
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="not an npz file"):
        Tfd(path).read()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_a_truncated_file_is_named(request, kind, share):
    path = request.getfixturevalue(kind)()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=path.name):
        Tfd(path).read()


def test_other_endings_are_refused(tmp_path):
    path = tmp_path / "faces.txt"
    path.touch()
    with pytest.raises(InputError, match=r"path must end in \.npz or \.mat"):
        Tfd(path)
