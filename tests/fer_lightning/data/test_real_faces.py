"""FER2013 itself, where FER2013_ZIP names its archive."""

import csv
import os
from pathlib import Path

import pytest
import torch

from fer_lightning.data.cache import load
from fer_lightning.data.faces import FaceSplits
from fer_lightning.data.sources.fer2013 import Fer2013

# as the data set's own description lists them: anger, disgust, fear, happy, sad, surprise, neutral
COUNTS = {
    "train": [3995, 436, 4097, 7215, 4830, 3171, 4965],
    "val": [467, 56, 496, 895, 653, 415, 607],
    "test": [491, 55, 528, 879, 594, 416, 626],
}
USAGES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}

pytestmark = [pytest.mark.real_faces, pytest.mark.xdist_group("archive")]  # which is read once


@pytest.fixture(scope="module")
def real_faces():
    path = os.environ.get("FER2013_ZIP")
    if not path:
        pytest.skip("FER2013_ZIP does not name the archive of FER2013")
    return load(Fer2013(path), None)


def test_every_class_has_its_official_number_of_faces(real_faces):
    assert {split: faces.class_counts() for split, faces in real_faces} == COUNTS


def test_the_all_black_face_is_there(real_faces):
    assert (real_faces.train.images.amax((1, 2, 3)) == 0).any()


def test_the_order_of_the_faces_does_not_matter(real_faces):
    mixed = [faces.take(torch.randperm(len(faces))) for _, faces in real_faces]
    assert FaceSplits(*mixed).in_canonical_order().fingerprint() == real_faces.fingerprint()


def test_a_csv_of_the_same_faces_is_the_same_data_set(real_faces, tmp_path: Path):
    some = {split: faces.take(torch.arange(0, len(faces), 36)) for split, faces in real_faces}
    with (tmp_path / "fer2013.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for split, faces in reversed(some.items()):
            for label, pixels in zip(faces.labels.tolist(), faces.images.flatten(1), strict=True):
                writer.writerow([label, " ".join(map(str, pixels.tolist())), USAGES[split]])
    assert load(Fer2013(file.name), None).fingerprint() == FaceSplits(**some).fingerprint()
