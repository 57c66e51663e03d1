import numpy as np
import torch

from fer_lightning.audit.emptiness import is_empty


def picture(fill):
    return np.full((48, 48), fill, np.uint8)


def test_black_pictures_and_placeholders_are_empty():
    black, notice, corner, speckled = picture(0), picture(255), picture(252), picture(0)
    notice[10:14, 5:40] = 0  # a line of text
    notice[20:22, 5:30] = 0
    corner[36:, 36:] = np.random.default_rng(0).integers(0, 256, (12, 12))
    speckled[:] = np.random.default_rng(0).integers(0, 5, (48, 48))  # noise of a codec
    assert is_empty(torch.from_numpy(np.stack([black, notice, corner, speckled]))[:, None]).all()


def test_faces_before_a_white_wall_and_drawings_are_not_empty():
    rng = np.random.default_rng(0)
    wall, drawing = picture(255), picture(255)
    wall[8:44, 10:40] = rng.integers(0, 256, (36, 30))
    drawing[rng.random((48, 48)) < 0.25] = 0
    assert not is_empty(torch.from_numpy(np.stack([wall, drawing]))[:, None]).any()


def test_no_pictures_are_no_answer():
    assert is_empty(torch.zeros(0, 1, 48, 48, dtype=torch.uint8)).tolist() == []
