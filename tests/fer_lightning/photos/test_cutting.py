"""Faces are cut out square, upright and in the right place."""

import math

import numpy as np
import pytest
from PIL import Image

from fer_lightning.photos import Detections, crops

pytest.importorskip("cv2")

EYES = np.array([[30.0, 40], [50, 40], [40, 50], [32, 60], [48, 60]])


def at(box, landmarks=EYES):
    return Detections(np.array([box], float), np.ones(1), np.array([landmarks], float))


def test_a_crop_of_its_own_size_is_a_slice_of_the_picture():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (90, 120, 1), dtype=np.uint8).repeat(3, -1)
    (cut,) = crops(picture, at((20, 30, 68, 78)))
    np.testing.assert_array_equal(cut, picture[30:78, 20:68, 0])


def test_a_larger_face_is_made_small_by_means():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (200, 200, 1), dtype=np.uint8).repeat(3, -1)
    (cut,) = crops(picture, at((10, 20, 154, 164)))
    means = picture[20:164, 10:154, 0].reshape(48, 3, 48, 3).mean((1, 3))
    np.testing.assert_allclose(cut, means, atol=0.51)


def test_a_box_that_is_no_square_gives_a_square_of_its_area():
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[:, 100:] = 255
    (cut,) = crops(picture, at((82, 18, 118, 82)))  # 36 x 64 = 48 x 48, around (100, 50)
    np.testing.assert_array_equal(cut[:, :24], 0)
    np.testing.assert_array_equal(cut[:, 24:], 255)


def test_the_edges_of_the_picture_go_on():
    picture = np.arange(60, dtype=np.uint8)[:, None, None].repeat(60, 1).repeat(3, -1)
    (cut,) = crops(picture, at((0, -24, 48, 24)))
    np.testing.assert_array_equal(cut[:24], 0)
    np.testing.assert_array_equal(cut[24:, 0], np.arange(24))


@pytest.mark.parametrize("degrees", [-40, -15, 15, 40])
def test_a_tilted_face_is_turned_upright(degrees):
    rng = np.random.default_rng(1)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((160, 160))
    tilted = np.asarray(
        smooth.rotate(-degrees, Image.Resampling.BICUBIC)
    )  # clockwise, as y is down
    (expected,) = crops(np.asarray(smooth), at((56, 56, 104, 104)))
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    marks = (EYES - (40, 50)) @ turn + 80
    (found,) = crops(tilted, at((56, 56, 104, 104), marks))
    assert np.abs(found.astype(int) - expected).mean() < 3
    (left,) = crops(tilted, at((56, 56, 104, 104)))  # level eyes: it is not turned
    assert np.abs(left.astype(int) - expected).mean() > 15


def test_no_faces_give_no_crops():
    nothing = Detections(np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2)))
    assert crops(np.zeros((20, 20, 3), np.uint8), nothing).shape == (0, 48, 48)
