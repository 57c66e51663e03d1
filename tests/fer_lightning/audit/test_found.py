"""What an audit says of a few faces, counted by hand."""

import html
import re

import numpy as np
import pytest
import torch

from fer_lightning.audit.found import Found, found_text
from fer_lightning.audit.page import page
from fer_lightning.data import CLASSES, Faces, FaceSplits
from fer_lightning.data.findings import AUDIT_COLUMNS

# faces of a split: the picture, which is noise of this seed, and the label
SPLITS = {
    "train": [(1, 3), (2, 0), (1, 3), (3, 5), (4, 6), (None, 2)],
    "val": [(5, 1), (2, 0), (6, 1)],
    "test": [(1, 4), (7, 2), (-6, 1), (None, 6)],
}


def picture(seed):
    """Noise of a seed; of a negative one, the mirror image; of None, nothing."""
    if seed is None:
        return np.zeros((48, 48), np.uint8)
    rng = np.random.default_rng(abs(seed))
    noise = np.kron(rng.integers(0, 256, (24, 24), dtype=np.uint8), np.ones((2, 2), np.uint8))
    return noise[:, ::-1] if seed < 0 else noise


@pytest.fixture
def splits():
    parts = []
    for faces in SPLITS.values():
        pixels = np.stack([picture(seed) for seed, _ in faces])
        labels = np.array([label for _, label in faces])
        parts.append(Faces.from_arrays(pixels, labels, index=10 + np.arange(len(faces))))
    return FaceSplits(*parts)


@pytest.fixture
def found(splits):
    return Found.of(splits)


def test_the_rows_say_what_is_wrong_with_each_face(found, splits):
    rows = [dict(zip(AUDIT_COLUMNS, map(str, row), strict=True)) for row in found.rows()]
    told = [tuple(row[c] for c in ("split", "row", "finding", "group")) for row in rows]
    assert told == [
        ("train", "0", "exact", "1"),
        ("train", "2", "exact", "1"),
        ("test", "0", "exact", "1"),
        ("train", "1", "exact", "2"),
        ("val", "1", "exact", "2"),
        ("val", "2", "mirrored", "3"),
        ("test", "2", "mirrored", "3"),
        ("train", "0", "conflict", "1"),
        ("train", "2", "conflict", "1"),
        ("test", "0", "conflict", "1"),
        ("train", "5", "empty", ""),
        ("test", "3", "empty", ""),
    ]
    first = rows[4]
    assert (first["index"], first["label"], first["partner"]) == ("11", "anger", "train 11")
    assert (first["similarity"], first["suggested"]) == ("1.000", "")
    assert {row["suggested"] for row in rows if row["finding"] == "conflict"} == {"happy"}
    assert {row["fingerprint"] for row in rows} == {splits.fingerprint()}


def test_the_text_counts_faces_by_finding_and_pairs_by_splits(found):
    text = found_text(found)
    for line in (
        r"^exact +3 +1 +1 +5$",
        r"^mirrored +0 +1 +1 +2$",
        r"^conflict +2 +0 +1 +3$",
        r"^empty +1 +0 +1 +2$",
        r"^train - train +1 +0 +0 +0$",
        r"^train - val +1 +0 +0 +0$",
        r"^train - test +2 +0 +0 +2$",
        r"^val - test +0 +0 +1 +0$",
        "^3 groups of faces that show the same, of which 1 have different labels$",
        r"^2 of 6 train faces \(33.3%\) have a twin in training$",
        r"^1 of 3 val faces \(33.3%\) have a twin in training$",
        r"^1 of 4 test faces \(25.0%\) have a twin in training$",
    ):
        assert re.search(line, text, re.MULTILINE), (line, text)
    assert "label" not in text.split("pairs")[0].split("faces")[1]


def test_the_page_shows_every_face_that_was_found(found):
    from datetime import datetime

    shown = page(found, "a <set>", datetime(2026, 1, 2))
    assert html.escape("a <set>") in shown
    assert "a <set>" not in shown
    sections = dict(re.findall(r"<section id='([\w-]+)'>(.*?)</section>", shown))
    pictures = {name: body.count("<img ") for name, body in sections.items()}
    assert pictures == {
        "held-out": 6,
        "conflicts": 3,
        "within": 2,
        "mirrored": 2,
        "empty": 2,
        "labels": 0,
    }
    assert "<small>test 10</small><small class='differs'>sad</small>" in sections["conflicts"]
    assert "$" not in shown


def test_faces_without_faults_give_a_table_and_a_page_without_any(splits):
    clean = FaceSplits(
        *(part.take(torch.tensor([i])) for (_, part), i in zip(splits, (3, 0, 1), strict=True))
    )
    found = Found.of(clean)
    assert list(found.rows()) == []
    assert "0 groups of faces that show the same" in found_text(found)
    assert CLASSES[5] not in found_text(found)
