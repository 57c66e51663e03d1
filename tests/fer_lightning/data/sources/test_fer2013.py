import zipfile
from pathlib import Path

import numpy as np
import pytest

from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.errors import InputError


def faces_of(path):
    return Fer2013(path).read()


def test_the_csv_gives_pixels_labels_splits_and_row_numbers(drawn, write_csv):
    splits = faces_of(write_csv(drawn))
    for number, (_, faces) in enumerate(splits):
        rows = np.flatnonzero(drawn.splits == number)
        np.testing.assert_array_equal(faces.images[:, 0], drawn.pixels[rows])
        np.testing.assert_array_equal(faces.labels, drawn.labels[rows])
        np.testing.assert_array_equal(faces.index, rows)


@pytest.mark.parametrize("header", ["emotion, Usage, pixels", "emotion,pixels,Usage"])
def test_both_spellings_of_the_header_are_read(drawn, write_csv, header):
    train = faces_of(write_csv(drawn, header=header)).train
    np.testing.assert_array_equal(train.images[:, 0], drawn.pixels[drawn.splits == 0])


def test_csv_folder_and_archives_give_the_same_faces_in_the_same_order(
    drawn, write_csv, write_folder, zip_folder, tmp_path
):
    csv_path = write_csv(drawn)
    with zipfile.ZipFile(tmp_path / "csv.zip", "w") as archive:
        archive.write(csv_path, "challenge/fer2013.csv")
    folder = write_folder(drawn)
    forms = [csv_path, folder, zip_folder(folder), tmp_path / "csv.zip"]
    read = [faces_of(form).in_canonical_order() for form in forms]
    assert read[0].sizes() == {"train": 14, "val": 7, "test": 7}
    assert len({splits.fingerprint() for splits in read}) == 1


def test_an_all_black_face_is_data(drawn, write_csv):
    drawn.pixels[drawn.splits == 2] = 0
    assert faces_of(write_csv(drawn)).test.images.max() == 0


def change(row, column, value):
    def apply(rows):
        rows[row][column] = value
        return rows

    return apply


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (change(4, 1, "1 2 3"), ("row 5", "2304 pixels", "got 3")),
        (change(4, 1, ""), ("row 5", "2304 pixels")),
        (change(6, 1, "0 " * 2303 + "256"), ("row 7", "0..255", "got 256")),
        (change(6, 1, "0 " * 2303 + "-1"), ("row 7", "0..255", "got -1")),
        (change(6, 1, "0 " * 2303 + "x"), ("row 7", "whole numbers")),
        (change(6, 1, "0 " * 2303 + "1.5"), ("row 7", "whole numbers")),
        (change(0, 0, 7), ("row 1", "0..6", "'7'")),
        (change(0, 0, "joy"), ("row 1", "0..6", "'joy'", "data.classes={joy:CLASS}")),
        (change(2, 2, "Test"), ("row 3", "Usage", "'Test'")),
        (lambda rows: [row for row in rows if row[2] != "PublicTest"], ("val", "none")),
        (lambda rows: [*rows, [3]], ("row 29", "3 columns")),
        (lambda rows: [], ("train", "none")),
    ],
)
def test_a_bad_row_is_named(drawn, write_csv, csv_rows, spoil, words):
    rows = spoil(csv_rows(drawn, ["emotion", "pixels", "Usage"]))
    with pytest.raises(InputError) as caught:
        faces_of(write_csv(drawn, rows=rows))
    for word in ("fer2013.csv", *words):
        assert word in str(caught.value)


def test_a_missing_column_is_named(drawn, write_csv):
    with pytest.raises(InputError, match=r"fer2013\.csv: column 'pixels' is missing"):
        faces_of(write_csv(drawn, header="emotion,Usage", rows=[[0, "Training"]]))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01" * 50, b"", b"PK\x03\x04nonsense"])
def test_what_is_no_csv_is_named(tmp_path, content):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"fer2013\.csv"):
        faces_of(path)


def test_names_without_the_official_prefix_are_refused(drawn, write_folder):
    folder = write_folder(drawn)
    picture = next((folder / "train" / "angry").iterdir())
    picture.rename(picture.with_name("im0.png"))
    with pytest.raises(InputError, match=r"train/angry/im0\.png.*data=folder"):
        faces_of(folder)


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"no such file or folder: .*nowhere"):
        Fer2013(tmp_path / "nowhere")
    with pytest.raises(InputError, match="path must be given"):
        Fer2013(None)


def test_a_truncated_archive_is_named(drawn, write_folder, zip_folder):
    path = zip_folder(write_folder(drawn))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"fer2013\.zip: not a zip archive, or a truncated one"):
        faces_of(path)


def test_a_truncated_picture_is_named(drawn, write_folder):
    folder = write_folder(drawn)
    picture = sorted((folder / "test" / "sad").iterdir())[0]
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(InputError, match=rf"{picture.name}: not a readable picture"):
        faces_of(folder)


def test_a_home_folder_is_found(drawn, write_csv, monkeypatch):
    path = write_csv(drawn)
    monkeypatch.setenv("HOME", str(path.parent))
    assert len(faces_of(Path("~") / path.name).train) == 14
