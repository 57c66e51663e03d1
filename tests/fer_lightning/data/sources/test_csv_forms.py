"""The forms in which FER2013 and csv files of faces come beside the one of `test_fer2013.py`."""

import io
import logging
import tarfile

import numpy as np
import pytest
import torch

from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.data.sources.folder import ClassFolders
from fer_lightning.errors import InputError, SettingError


def packed(path, **files):
    with tarfile.open(path, "w:gz" if path.suffix != ".tar" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["fer2013.tar.gz", "fer2013.tgz", "fer2013.tar"])
def test_the_archive_of_kaggle_is_read_unopened(drawn, write_csv, tmp_path, name):
    csv_path = write_csv(drawn)
    files = {"fer2013/README": b"about", "fer2013/fer2013.csv": csv_path.read_bytes()}
    path = packed(tmp_path / name, **files, **{"fer2013/fer2013.bib": b"@article"})
    before = set(tmp_path.iterdir())
    assert Fer2013(path).read().fingerprint() == Fer2013(csv_path).read().fingerprint()
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar"])
@pytest.mark.parametrize("n_held", [5, 16384])
def test_pictures_in_an_archive_are_those_of_the_folder(
    drawn, write_folder, tmp_path, suffix, n_held, monkeypatch
):
    monkeypatch.setattr("fer_lightning.data.sources.images.HELD_FILES", n_held)
    folder = write_folder(drawn)
    with tarfile.open(tmp_path / f"x{suffix}", "w:gz" if suffix == ".tar.gz" else "w") as archive:
        for file in sorted(folder.rglob("*.png"), key=lambda file: file.name[::-1]):
            archive.add(file, file.relative_to(folder.parent))
    expected, found = Fer2013(folder).read(), Fer2013(tmp_path / f"x{suffix}").read()
    assert found.fingerprint() == expected.fingerprint()
    assert found.train.index.tolist() == expected.train.index.tolist()


def test_pictures_of_an_archive_are_decoded_on_all_cores(
    drawn, write_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("fer_lightning.data.sources.images.MIN_CHUNK", 4)
    monkeypatch.setattr("fer_lightning.data.sources.images.HELD_BYTES", 40_000)
    folder = write_folder(drawn)
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as archive:
        archive.add(folder, "faces")
    assert Fer2013(tmp_path / "x.tgz").read().fingerprint() == Fer2013(folder).read().fingerprint()


def test_a_bad_picture_in_an_archive_is_named(tmp_path):
    path = packed(tmp_path / "x.tgz", **{"train/sad/1.png": b"no picture"})
    with pytest.raises(InputError, match="the val split must have faces, got none"):
        ClassFolders(path).read()
    names = [f"{split}/sad/{i}.png" for split in ("train", "val", "test") for i in range(2)]
    path = packed(tmp_path / "x.tgz", **dict.fromkeys(names, b"no picture"))
    with pytest.raises(InputError, match=r"x\.tgz: train/sad/0\.png: not a readable picture"):
        ClassFolders(path).read()


@pytest.fixture
def train_csv(drawn, tmp_path):
    """Kaggle's train.csv: the faces five times, without `Usage`."""
    rows = [
        f"{label},{' '.join(map(str, np.roll(face, k).ravel()))}"
        for k in range(5)
        for face, label in zip(drawn.pixels, drawn.labels, strict=True)
    ]
    path = tmp_path / "train.csv"
    path.write_text("\n".join(["emotion,pixels", *rows]))
    return path


def test_splits_that_a_csv_lacks_are_drawn_by_class_aloud(train_csv, caplog):
    caplog.set_level(logging.INFO)
    splits = Fer2013(train_csv).read()
    assert splits.sizes() == {"train": 112, "val": 14, "test": 14}
    for _, faces in splits:
        assert len(set(faces.class_counts())) == 1
    rows = [row for _, faces in splits for row in faces.index.tolist()]
    assert sorted(rows) == list(range(140))
    line = "has no column Usage: its splits are drawn by class with data.seed=0: 112 train, 14 val"
    assert line in caplog.text


def test_the_draw_follows_seed_and_shares(train_csv):
    prints = {Fer2013(train_csv, seed=seed).read().fingerprint() for seed in (0, 0, 1)}
    assert len(prints) == 2
    sizes = Fer2013(train_csv, val_fraction=0.2, test_fraction=0.3).read().sizes()
    assert sizes == {"train": 70, "val": 28, "test": 42}


def test_official_splits_are_not_told_to_be_drawn(drawn, write_csv, caplog):
    caplog.set_level(logging.INFO)
    assert Fer2013(write_csv(drawn), seed=4).read().sizes()["train"] == 14
    assert "drawn" not in caplog.text


def test_of_the_files_of_the_challenge_the_fullest_is_read(drawn, write_csv, train_csv, tmp_path):
    (tmp_path / "all").mkdir()
    train_csv.rename(tmp_path / "all" / "train.csv")
    (tmp_path / "all" / "test.csv").write_text("pixels\n1 2 3")
    assert sum(Fer2013(tmp_path / "all").read().sizes().values()) == 140
    write_csv(drawn).rename(tmp_path / "all" / "icml_face_data.csv")
    assert sum(Fer2013(tmp_path / "all").read().sizes().values()) == 28


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize(
    "columns", [("emotion", "pixels", "Usage"), ("emotion", " Usage", " pixels")]
)
def test_other_separators_are_read(drawn, write_csv, separator, columns):
    path = write_csv(drawn, header=",".join(columns))
    expected = Fer2013(path).read().fingerprint()
    path.write_text(path.read_text().replace(",", separator))
    assert Fer2013(path).read().fingerprint() == expected


def test_labels_of_a_csv_may_be_words_and_names_of_the_users(drawn, write_csv, csv_rows):
    rows = csv_rows(drawn, ["emotion", "pixels", "Usage"])
    for row in rows:
        row[0] = {3: "Happiness", 4: "9", 5: "contempt"}.get(row[0], row[0])
    path = write_csv(drawn, rows=rows)
    with pytest.raises(InputError, match=r"type 'data\.classes={9:CLASS,contempt:leave_out}'"):
        Fer2013(path).read()
    splits = Fer2013(path, classes={"9": "sad", "contempt": None}).read()
    assert splits.sizes() == {"train": 12, "val": 6, "test": 6}
    kept = np.flatnonzero((drawn.splits == 0) & (drawn.labels != 5))
    np.testing.assert_array_equal(splits.train.index, kept)
    np.testing.assert_array_equal(splits.train.labels, drawn.labels[kept])
    np.testing.assert_array_equal(splits.train.images[:, 0], drawn.pixels[kept])


def test_a_folder_of_several_csv_files_is_refused(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("emotion,pixels\n")
    with pytest.raises(InputError, match="must hold pictures in a folder per class"):
        ClassFolders(tmp_path).read()


def test_names_of_columns_may_be_in_small_letters(drawn, write_csv):
    path = write_csv(drawn)
    expected = Fer2013(path).read()
    path.write_text(path.read_text().replace("Usage", "usage", 1))
    for split, faces in Fer2013(path).read():
        assert torch.equal(faces.images, getattr(expected, split).images)


def test_a_csv_file_has_no_names_for_patterns(drawn, write_csv, caplog):
    caplog.set_level(logging.INFO)
    codes = dict(enumerate(CLASSES))
    ClassFolders(write_csv(drawn), codes=codes, subject_pattern=r"(S\d)").read()
    assert "has no file names, so subject_pattern is not used" in caplog.text


def test_a_folder_may_have_a_number_for_its_name(drawn, write_csv, tmp_path, monkeypatch):
    path = write_csv(drawn)
    (tmp_path / "2013").mkdir()
    path.rename(tmp_path / "2013" / "fer2013.csv")
    monkeypatch.chdir(tmp_path)
    assert sum(Fer2013(2013).read().sizes().values()) == 28  # as Hydra reads data.path=2013
    with pytest.raises(SettingError, match=r"path must be fer2013\.csv, the folder or an archive"):
        Fer2013(["2013"])
