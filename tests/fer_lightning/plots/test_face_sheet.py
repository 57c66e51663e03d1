import numpy as np
import pytest
import torch

from fer_lightning.plots.sheets import face_sheet, padded


def near_size(face):
    """A face as it is shown: of 24 to 96 pixels as it is, below enlarged, above averaged."""
    if len(face) < 24:
        return np.kron(face, np.ones((48 // len(face),) * 2, np.float32))
    if len(face) <= 96:
        return face
    n = len(face) // 96
    return face.reshape(96, n, 96, n).mean((1, 3))


@pytest.mark.parametrize("side", [4, 23, 24, 48, 96, 192])
@pytest.mark.parametrize(("n", "columns"), [(1, 1), (7, 3), (40, 10)])
def test_faces_stand_in_reading_order(saved, texts, n, columns, side):
    faces = torch.rand(n, side * side)
    shown = near_size(faces[0].reshape(side, side).numpy()).shape[0]
    captions = [f"face {i}" for i in range(n)]
    figure = saved(face_sheet("Some faces", faces, columns, captions))
    canvas = figure.axes[0].images[0].get_array()
    left, above = shown + 4, canvas.shape[0] // -(-n // columns)
    for i, face in enumerate(faces):
        row, column = divmod(i, columns)
        tile = canvas[row * above : (row + 1) * above, column * left : column * left + shown]
        expected = near_size(face.reshape(side, side).numpy())
        np.testing.assert_allclose(tile[-shown:].filled(np.nan), expected, atol=1e-6)
    assert texts(figure) == ["Some faces", *captions]


def test_missing_faces_stay_empty_and_rows_have_names(saved, texts):
    rows = [torch.rand(2, 16), torch.rand(0, 16), torch.rand(3, 16)]
    faces = padded(rows, 3)
    assert faces.shape == (9, 16)
    assert faces.isnan().all(-1).tolist() == [False, False, *[True] * 4, *[False] * 3]
    figure = saved(face_sheet("Rows", faces, 3, rows=["a", "b", "c"]))
    assert texts(figure) == ["Rows", "a", "b", "c"]


def test_variances_have_a_scale_that_begins_at_zero(saved):
    figure = saved(face_sheet("V", torch.full((2, 16), 0.3), 2, unit="variance"))
    assert figure.axes[1].get_title() == "variance"
    assert figure.axes[0].images[0].get_clim() == pytest.approx((0, 0.3))


def test_signed_values_are_grey_on_a_symmetric_scale(saved):
    figure = saved(
        face_sheet("W", torch.tensor([[-0.3] * 16, [0.1] * 16]), 2, unit="w", signed=True)
    )
    picture = figure.axes[0].images[0]
    assert picture.get_clim() == pytest.approx((-0.3, 0.3))
    assert picture.get_cmap().name == "gray"


def test_captions_of_several_lines_have_room(saved):
    heights = [
        saved(face_sheet("T", torch.rand(2, 16), 2, [caption] * 2)).get_size_inches()[1]
        for caption in ("one", "one\ntwo")
    ]
    assert heights[1] - heights[0] == pytest.approx(10 / 72)
