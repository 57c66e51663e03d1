"""Copies with boxes and bars: in the picture, in their colours, and not over faces."""

import numpy as np
import pytest

from fer_lightning.data import CLASSES
from fer_lightning.plots import EXPRESSIONS
from fer_lightning.recognition import Face, annotated
from fer_lightning.recognition.marking import _place


def face(box, expression="anger"):
    return Face(box, expression, {name: float(name == expression) for name in CLASSES})


def rgb(color):
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


def test_a_box_has_the_color_of_its_expression_and_the_original_is_kept():
    picture = np.zeros((240, 320, 3), np.uint8)
    found = annotated(picture, [face((100, 60, 180, 140), "happy")])
    assert not picture.any()
    assert tuple(found[100, 100]) == rgb(EXPRESSIONS["happy"])
    assert tuple(found[60, 140]) == rgb(EXPRESSIONS["happy"])
    assert not found[70:130, 110:170].any()  # the face itself is left alone
    assert found[60:140, 185:].any()  # bars beside it


def test_boxes_are_placed_by_the_scale_of_the_picture():
    found = annotated(np.zeros((240, 320, 3), np.uint8), [face((200, 120, 360, 280))], scale=2.0)
    assert tuple(found[100, 100]) == rgb(EXPRESSIONS["anger"])


@pytest.mark.parametrize("box", [(0, 0, 50, 50), (270, 190, 320, 240), (-30, -30, 400, 300)])
def test_bars_stay_in_the_picture_and_beside_the_face(box):
    x, y = _place(box, (60, 40), (320, 240), [box])
    assert 0 <= x <= 260
    assert 0 <= y <= 200
    if box[2] - box[0] == 50:
        assert x >= box[2] or x + 60 <= box[0] or y >= box[3] or y + 40 <= box[1]


def test_no_faces_change_nothing_and_small_pictures_can_be_marked():
    picture = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(annotated(picture, []), picture)
    assert annotated(picture, [face((2, 2, 18, 20))]).shape == picture.shape
