import numpy as np
import pytest
import torch

from fer_lightning.data.faces import Faces
from fer_lightning.training.predictions import Predictions, confident_mistakes, uncertain_faces


def answered(*scores, labels):
    """Faces whose first classes have these scores, the other classes sharing the rest."""
    proba = torch.zeros(len(scores), 7, dtype=torch.double)
    for row, score in zip(proba, scores, strict=True):
        row[:] = (1 - score) / 6
        row[0] = score
    n = len(scores)
    images = torch.zeros(n, 1, 48, 48, dtype=torch.uint8)
    index = 100 + torch.arange(n)
    return Predictions(Faces(images, torch.tensor(labels), index, index), proba.log())


def test_uncertain_faces_come_least_sure_first_with_true_and_predicted_class(saved, texts):
    shown = answered(0.9, 0.25, 0.2, 0.28, labels=[0, 0, 3, 6])
    assert texts(saved(uncertain_faces(shown, 2 / 7))) == [
        "3 uncertain faces (highest score below 0.286, least sure first): true → predicted",
        "#102: 0.200\nhappy → anger",
        "#101: 0.250\nanger → anger",
        "#103: 0.280\nneutral → anger",
    ]


def test_mistakes_come_surest_first(saved, texts):
    shown = answered(0.4, 0.9, 0.6, labels=[1, 0, 2])
    assert texts(saved(confident_mistakes(shown))) == [
        "2 wrong faces (surest first): true → predicted",
        "#102: 0.600\nfear → anger",
        "#100: 0.400\ndisgust → anger",
    ]


def test_a_long_sheet_is_cut_and_says_so(saved, texts):
    shown = answered(*[0.2] * 1234, labels=[1] * 1234)
    title, *captions = texts(saved(confident_mistakes(shown)))
    assert title.startswith("40 of 1,234 wrong faces (")
    assert len(captions) == 40


@pytest.mark.parametrize("sheet", [lambda p: uncertain_faces(p, 0.3), confident_mistakes])
def test_no_faces_make_no_sheet(sheet):
    assert sheet(answered(0.9, 0.8, labels=[0, 0])) is None


@pytest.mark.parametrize("side", [8, 20, 48, 96, 224])
def test_sheets_of_faces_of_any_size_are_alike(side, saved):
    shown = answered(0.4, 0.9, labels=[1, 1])
    faces = Faces.from_arrays(np.full((2, side, side), 51, np.uint8), np.ones(2))
    figure = saved(confident_mistakes(Predictions(faces, shown.log_proba)))
    canvas = figure.axes[0].images[0].get_array().filled(np.nan)
    assert canvas.shape[1] == 2 * 96 + 4
    np.testing.assert_allclose(canvas[-96:, :96], 0.2, rtol=1e-6)
