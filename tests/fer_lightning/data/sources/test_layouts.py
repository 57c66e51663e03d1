"""The layouts in which well-known sets of faces come, made small, through their ready files."""

import csv
import itertools
import tarfile
from collections import Counter

import numpy as np
import pytest
from hydra.utils import instantiate
from PIL import Image

from fer_lightning.data.class_names import CLASSES
from fer_lightning.errors import InputError

RAF = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
AFFECT = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")


@pytest.fixture
def source(composed):
    """A source as its ready file makes it."""

    def make(name, path, *overrides):
        config = composed("train", f"data={name}", f"data.path={path}", *overrides)
        return instantiate(config.data.source, _convert_="all")

    return make


@pytest.fixture
def draw(tmp_path):
    """Draw a picture of one tone, by which it is known again; tones count from 1."""
    tones = itertools.count(1)

    def write(name, **options):
        path = tmp_path / "faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = next(tones)
        Image.new("L", (50, 60), tone).save(path, **options)
        return tone

    return write


def shown(faces):
    """Class of each face, by its tone; JPEG may miss a tone by one, so they are spread."""
    tones = faces.images.float().mean((1, 2, 3)).round().int().tolist()
    assert len(set(tones)) == len(tones)
    return {t: CLASSES[label] for t, label in zip(tones, faces.labels.tolist(), strict=True)}


def all_shown(splits):
    return shown(splits.train) | shown(splits.val) | shown(splits.test)


@pytest.fixture
def rafdb_folders(draw):
    expected = {}
    for split, n in (("train", 4), ("test", 2)):
        numbers = itertools.count(1)
        for folder, name in enumerate(RAF, 1):
            for _ in range(n):
                file = f"{split}_{next(numbers):0{5 if split == 'train' else 4}}_aligned.jpg"
                expected[draw(f"DATASET/{split}/{folder}/{file}")] = (split, name)
    return expected


def test_rafdb_in_numbered_folders(source, rafdb_folders, tmp_path):
    splits = source("rafdb", tmp_path / "faces", "data.val_fraction=0.25").read()
    assert splits.sizes() == {"train": 21, "val": 7, "test": 14}
    assert all_shown(splits) == {tone: name for tone, (_, name) in rafdb_folders.items()}
    assert shown(splits.test).keys() == {t for t, (s, _) in rafdb_folders.items() if s == "test"}
    assert len(set(shown(splits.val).values())) == 7


@pytest.mark.parametrize("originals", [False, True])
def test_rafdb_with_its_list_of_labels(source, draw, tmp_path, originals):
    expected, lines = {}, []
    for split, n in (("train", 4), ("test", 2)):
        for i in range(7 * n):
            name = f"{split}_{i:05}"
            lines.append(f"{name}.jpg {i % 7 + 1}")
            expected[draw(f"basic/Image/aligned/{name}_aligned.jpg")] = (split, RAF[i % 7])
            if originals:
                draw(f"basic/Image/original/{name}.jpg")
    (tmp_path / "faces/basic/EmoLabel").mkdir()
    listed = tmp_path / "faces/basic/EmoLabel/list_patition_label.txt"
    listed.write_text("\n".join(lines) + "\n")
    splits = source("rafdb", tmp_path / "faces", "data.val_fraction=0.25").read()
    assert splits.sizes() == {"train": 21, "val": 7, "test": 14}
    assert all_shown(splits) == {tone: name for tone, (_, name) in expected.items()}
    assert shown(splits.test).keys() == {t for t, (s, _) in expected.items() if s == "test"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train_00001.jpg", r"list_patition_label\.txt: line 8 must be the name of a picture and"),
        ("train_00001.jpg 5 6", "line 8 must be .*got 'train_00001.jpg 5 6'"),
        ("train_00000.jpg 5", "line 8 must repeat no picture, got 'train_00000.jpg'"),
        ("train_00009.jpg 8", r"the label of 'train_00009.jpg' must be one of 1\.\.7, .*got '8'"),
        ("\xff", "not a text file"),
    ],
)
def test_a_bad_line_of_a_list_is_named(source, draw, tmp_path, line, words):
    for i in (*range(7), 9):
        draw(f"train_{i:05}.jpg")
    lines = "".join(f"train_{i:05}.jpg {i + 1}\n" for i in range(7))
    (tmp_path / "faces/list_patition_label.txt").write_bytes(lines.encode() + line.encode("latin1"))
    with pytest.raises(InputError, match=words):
        source("rafdb", tmp_path / "faces").read()


def test_pictures_that_a_list_names_and_that_are_not_there_are_told(source, draw, tmp_path, caplog):
    for split, i in itertools.product(("train", "test"), range(70)):
        draw(f"{split}_{i:05}.png")
    lines = (f"{s}_{i:05}.png,{i % 7 + 1}" for s in ("train", "test") for i in range(80))
    (tmp_path / "faces/list_patition_label.txt").write_text("\n".join(lines))
    source("rafdb", tmp_path / "faces").read()
    assert "140 of 160 pictures that list_patition_label.txt names are there" in caplog.text
    (tmp_path / "faces/list_patition_label.txt").write_text("x.png 1")
    with pytest.raises(InputError, match="must name the pictures that are there, got none"):
        source("rafdb", tmp_path / "faces").read()


@pytest.mark.parametrize("suffix", ["", "_set"])
def test_affectnet_leaves_contempt_out(source, draw, tmp_path, suffix):
    expected, numbers = {}, itertools.count()
    for split, n in (("train", 4), ("val", 2)):
        for folder in range(8):
            for _ in range(n):
                tone = draw(f"{split}{suffix}/{folder}/image{next(numbers):07}.jpg")
                if folder < 7:
                    expected[tone] = (split, AFFECT[folder])
    splits = source("affectnet", tmp_path / "faces", "data.test_fraction=0.25").read()
    assert splits.sizes() == {"train": 21, "val": 14, "test": 7}
    assert all_shown(splits) == {tone: name for tone, (_, name) in expected.items()}
    assert shown(splits.val).keys() == {t for t, (s, _) in expected.items() if s == "val"}


def people_of(splits):
    """The people of each split, who must be others in the others."""
    people = [set(faces.subjects.tolist()) for _, faces in splits]
    assert -1 not in set.union(*people)
    assert sum(map(len, people)) == len(set.union(*people))
    return [len(p) for p in people]


JAFFE_CLASSES = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happy"}
JAFFE_CLASSES |= {"SA": "sad", "SU": "surprise", "NE": "neutral"}


def test_jaffe_says_person_and_class_in_its_names(source, draw, tmp_path):
    expected = {}
    people = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
    for number, (who, (code, name)) in enumerate(
        itertools.product(people, JAFFE_CLASSES.items()), 1
    ):
        expected[draw(f"jaffe/{who}.{code}1.{number}.tiff")] = (who, name)
    (tmp_path / "faces/jaffe/README.txt").write_text("about")
    splits = source("jaffe", tmp_path / "faces").read()
    assert all_shown(splits) == {tone: name for tone, (_, name) in expected.items()}
    assert people_of(splits) == [8, 1, 1]
    for _, faces in splits:
        by_tone = shown(faces)
        assert len(by_tone) == 7 * len({expected[tone][0] for tone in by_tone})


KDEF_CLASSES = {"AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happy"}
KDEF_CLASSES |= {"NE": "neutral", "SA": "sad", "SU": "surprise"}


@pytest.fixture
def kdef(draw):
    """Names of the faces of ten people, of whom two share each number."""
    expected = {}
    for who, (code, name) in itertools.product(
        (f"{sex}{i:02}" for sex in "FM" for i in range(1, 6)), KDEF_CLASSES.items()
    ):
        for session, angle in (("A", "S"), ("B", "S"), ("A", "HL"), ("A", "FR")):
            folder = f"KDEF/{session}{who}"
            file = f"{session}{who}{code}{angle}.JPG"
            expected[(who, name, session, angle)] = f"{folder}/{file}"
    for name in expected.values():
        draw(name)
    return expected


def test_kdef_takes_straight_faces_and_keeps_people_of_both_sessions_whole(source, kdef, tmp_path):
    splits = source("kdef", tmp_path / "faces", "data.val_fraction=0.2").read()
    assert sum(splits.sizes().values()) == 10 * 7 * 2
    assert people_of(splits) == [7, 2, 1]
    counts = Counter(CLASSES[i] for _, faces in splits for i in faces.labels.tolist())
    assert counts == dict.fromkeys(CLASSES, 20)
    assert all(len(faces) % 14 == 0 for _, faces in splits)


@pytest.mark.parametrize(
    ("views", "n"), [("[S,HL]", 210), ("[s, hl, fr]", 280), ("null", 280), ("[FR]", 70)]
)
def test_kdef_at_other_angles(source, kdef, tmp_path, views, n):
    splits = source("kdef", tmp_path / "faces", f"data.views={views}").read()
    assert sum(splits.sizes().values()) == n


def test_an_angle_that_is_not_there_is_told(source, kdef, tmp_path):
    with pytest.raises(
        InputError, match=r"views must be views that are there \(S, HL, FR\)|views m"
    ):
        source("kdef", tmp_path / "faces", "data.views=[S,HR]").read()


def test_pictures_without_a_view_are_passed_over_aloud(source, kdef, draw, tmp_path, caplog):
    draw("KDEF/AF31/AF31V.JPG")
    splits = source("kdef", tmp_path / "faces").read()
    assert sum(splits.sizes().values()) == 140
    assert "1 pictures are passed over, as view_pattern finds no view in" in caplog.text


def test_a_name_in_which_no_class_is_found_is_told(source, draw, tmp_path):
    draw("KA.XX1.39.tiff")
    with pytest.raises(InputError, match=r"label_pattern .* must find every file name, got none"):
        source("jaffe", tmp_path / "faces").read()


def test_what_a_pattern_finds_may_be_any_name(source, draw, tmp_path):
    for i, word in itertools.product(range(10), ("froh", "wut")):
        draw(f"p{i}-{word}.png")
    pattern = r"data.label_pattern='-(\w+)\.'"
    with pytest.raises(InputError, match=r"the label in the name of 'p0-froh.png' .*'froh', 'wut'"):
        source("folder", tmp_path / "faces", pattern).read()
    given = (pattern, "data.classes={FROH:happy,wut:anger}")
    splits = source("folder", tmp_path / "faces", *given).read()
    assert set(all_shown(splits).values()) == {"happy", "anger"}


def test_a_split_in_the_name_must_be_one(source, draw, tmp_path):
    draw("1/trein_00001_aligned.jpg")
    with pytest.raises(InputError, match=r"split_pattern .* must find train, val or test"):
        source("rafdb", tmp_path / "faces").read()


CK = ("anger", "disgust", "fear", "happy", "sadness", "surprise")


def test_ck48_leaves_contempt_out_and_keeps_people_whole(source, draw, tmp_path):
    for who, (i, name) in itertools.product(range(20), enumerate((*CK, "contempt"))):
        draw(f"CK+48/{name}/S{who:03}_00{i}_00000017.png")
    splits = source("ckplus", tmp_path / "faces").read()
    assert people_of(splits) == [16, 2, 2]
    counts = Counter(CLASSES[i] for _, faces in splits for i in faces.labels.tolist())
    assert counts == {name.removesuffix("ness"): 20 for name in CK}


CKEXTENDED = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral", None)


@pytest.fixture
def ckextended(tmp_path):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (32, 48, 48), dtype=np.uint8)
    usages = ["Training"] * 16 + ["PublicTest"] * 8 + ["PrivateTest"] * 8
    with (tmp_path / "ckextended.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("emotion", "pixels", "Usage"))
        for i in range(32):
            writer.writerow((i % 8, " ".join(map(str, pixels[i].ravel())), usages[i]))
    return pixels


@pytest.mark.parametrize("form", ["csv", "folder", "tar"])
def test_ckextended_has_eight_classes_of_which_contempt_is_left_out(
    source, ckextended, tmp_path, form
):
    path = tmp_path / "ckextended.csv"
    if form == "folder":
        (tmp_path / "unpacked").mkdir()
        path = path.rename(tmp_path / "unpacked" / path.name).parent
    if form == "tar":
        with tarfile.open(tmp_path / "ck.tgz", "w:gz") as archive:
            archive.add(path, "ck/ckextended.csv")
        path = tmp_path / "ck.tgz"
    splits = source("ckplus", path).read()
    assert splits.sizes() == {"train": 14, "val": 7, "test": 7}
    for _, faces in splits:
        for image, label, row in zip(faces.images, faces.labels, faces.index, strict=True):
            assert CLASSES[label] == CKEXTENDED[row % 8]
            np.testing.assert_array_equal(image[0], ckextended[row])


def test_every_ready_file_takes_what_the_user_says_of_a_class(source, draw, tmp_path):
    for i, folder in itertools.product(range(10), (*range(8), "none of these")):
        draw(f"train/{folder}/{i}.png")
    with pytest.raises(
        InputError, match=r"'none of these'; type .*data\.classes={none\\ of\\ these:"
    ):
        source("affectnet", tmp_path / "faces").read()
    given = r"data.classes={none\ of\ these:neutral,1:leave_out}"
    splits = source("affectnet", tmp_path / "faces", given).read()
    counts = Counter(all_shown(splits).values())
    assert counts == {n: 10 for n in CLASSES if n not in ("happy", "neutral")} | {"neutral": 20}


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz"])
def test_a_folder_and_its_archives_hold_the_same_faces(
    source, rafdb_folders, tmp_path, suffix, zip_folder
):
    folder = tmp_path / "faces"
    if suffix == ".zip":
        path = zip_folder(folder)
    else:
        path = tmp_path / f"faces{suffix}"
        with tarfile.open(path, "w" if suffix == ".tar" else "w:gz") as archive:
            archive.add(folder, ".")
    sources = [source("rafdb", each, "data.val_fraction=0.25") for each in (folder, path)]
    prints = [each.read().fingerprint() for each in sources]
    assert prints[0] == prints[1]


def test_folders_of_splits_stand_above_the_names_of_pictures(draw, tmp_path, source):
    expected = {}
    for split in ("train", "val", "test"):
        for label in (4, 5):
            for i in range(2):
                # RAF-DB's own names say train or test, and others say nothing
                name = f"train_{i}{label}.png" if split == "val" else f"{i}.png"
                expected[split, draw(f"{split}/{label}/{name}")] = RAF[label - 1]
    splits = source("rafdb", tmp_path / "faces").read()
    for split, faces in splits:
        assert shown(faces) == {t: name for (s, t), name in expected.items() if s == split}


def test_folders_of_splits_may_stand_above_another_folder(draw, tmp_path, source):
    tones = {
        split: {draw(f"{split}/images/{name}/{i}.png"): name for name in ("happy", "sad")}
        for i, split in enumerate(("train", "val", "test"))
    }
    for split, faces in source("folder", tmp_path / "faces").read():
        assert shown(faces) == tones[split]


def test_a_picture_that_the_list_lacks_is_told(draw, tmp_path, source, caplog):
    for split in ("train", "test"):
        for i in range(13):
            draw(f"{split}_{i}.png")
    names = [f"{split}_{i}.png 4" for split in ("train", "test") for i in range(12)]
    (tmp_path / "faces" / "list_patition_label.txt").write_text("\n".join(names))
    splits = source("rafdb", tmp_path / "faces").read()
    assert sum(splits.sizes().values()) == 24
    assert "2 pictures are passed over, as list_patition_label.txt does not name" in caplog.text
    with pytest.raises(InputError, match=r"label_pattern must be null where label_list is there"):
        source("rafdb", tmp_path / "faces", r"data.label_pattern='_(\d)'").read()
    with pytest.raises(InputError, match=r"label_list must be in the data set, got 'labels\.txt'"):
        source("rafdb", tmp_path / "faces", "data.label_list=labels.txt").read()
