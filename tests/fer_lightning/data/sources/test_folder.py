import numpy as np
import pytest
from PIL import Image

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.sources.folder import ClassFolders
from fer_lightning.errors import InputError

CK = ("anger", "disgust", "fear", "happy", "sadness", "surprise", "neutral")


def draw(path, size=(48, 48), mode="L", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(values, mode=None).save(path)
    return values


@pytest.fixture
def ck(tmp_path):
    """20 subjects with a picture of each class, and one who looks with contempt."""
    top = tmp_path / "CK+48"
    for i, name in enumerate(CK):
        for subject in range(20):
            draw(top / name / f"S{subject:03}_004_000000{i}.png", seed=20 * i + subject)
    return top


def test_a_set_without_splits_is_split_by_class_and_seed(ck):
    splits = ClassFolders(ck).read()
    assert splits.sizes() == {"train": 112, "val": 14, "test": 14}
    for _, faces in splits:
        assert len(set(faces.class_counts())) == 1
    again, other = ClassFolders(ck).read(), ClassFolders(ck, seed=1).read()
    assert again.fingerprint() == splits.fingerprint() != other.fingerprint()


def test_nobody_stands_in_two_splits(ck):
    splits = ClassFolders(ck, subject_pattern=r"(S\d+)_").read()
    people = [set(faces.subjects.tolist()) for _, faces in splits]
    assert sorted(map(len, people)) == [2, 2, 16]
    assert len(set.union(*people)) == 20
    # the same people by another route: the names behind the indices
    names = sorted(p.relative_to(ck).as_posix() for p in ck.rglob("*.png"))
    found = [{names[i].split("/")[1][:4] for i in faces.index.tolist()} for _, faces in splits]
    assert sum(map(len, found)) == len(set.union(*found)) == 20


def test_classes_outside_the_seven_can_be_left_out(ck):
    draw(ck / "contempt" / "S999_001.png")
    with pytest.raises(InputError, match=r"'contempt'; type 'data\.classes={contempt:leave_out}'"):
        ClassFolders(ck).read()
    for settings in ({"leave_out": ["Contempt"]}, {"classes": {"contempt": "leave_out"}}):
        assert sum(ClassFolders(ck, **settings).read().sizes().values()) == 140


def test_folders_of_splits_are_kept_and_the_missing_one_is_drawn(tmp_path):
    for i, name in enumerate(("Angry", "disgusted", "fearful", "Happiness", "sad", "normal")):
        for j in range(10):
            draw(tmp_path / "train" / name / f"{j}.jpg", seed=100 * i + j)
        draw(tmp_path / "test" / name / "1.jpg", seed=100 * i + 50)
    splits = ClassFolders(tmp_path).read()
    assert splits.sizes() == {"train": 54, "val": 6, "test": 6}
    assert sorted(splits.test.labels.tolist()) == [0, 1, 2, 3, 4, 6]
    assert sorted(splits.val.labels.tolist()) == [0, 1, 2, 3, 4, 6]


def test_a_person_in_two_given_splits_is_refused(tmp_path):
    for split in ("train", "val", "test"):
        for name in CK:
            draw(tmp_path / split / name / f"{split}7_1.png")
    pattern = r"(\d)_"
    with pytest.raises(InputError, match="nobody may stand in two splits"):
        ClassFolders(tmp_path, subject_pattern=pattern).read()


def test_pictures_of_any_size_and_colour_become_48x48_grey_without_aliasing(tmp_path):
    stripes = np.zeros((480, 480, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than a pixel of the result: an even grey
    for split in ("train", "val", "test"):
        for name in CK:
            (tmp_path / split / name).mkdir(parents=True)
            Image.fromarray(stripes).save(tmp_path / split / name / "1.png")
    grey = ClassFolders(tmp_path).read().train.images.float()
    assert grey.shape == (7, 1, 48, 48)
    assert abs(grey.mean().item() - 127.5) < 1.5
    assert grey[..., 2:-2].std() < 3


def test_colours_become_grey_by_their_luma(tmp_path):
    for split in ("train", "val", "test"):
        for name in CK:
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (48, 48), (200, 100, 50)).save(tmp_path / split / name / "1.png")
    expected = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert abs(ClassFolders(tmp_path).read().val.images.float().mean().item() - expected) <= 0.5


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("subject_pattern", "S\\d+"),
        ("subject_pattern", "("),
        ("subject_pattern", "(a)(b)"),
        ("val_fraction", 0),
        ("val_fraction", 1.5),
        ("test_fraction", 0.95),
        ("seed", -1),
        ("label_pattern", "a"),
        ("label_pattern", "(a)(b)"),
        ("label_pattern", 3),
        ("split_pattern", "["),
        ("view_pattern", "x"),
        ("views", "S"),
        ("views", []),
        ("label_list", "a/b.txt"),
        ("label_list", 3),
        ("name", "a/b"),
        ("name", ""),
        (
            "name",
            "..",
        ),
        ("image_size", 7),
        ("image_size", 1025),
        ("image_size", 48.0),
        ("classes", ["sad"]),
    ],
)
def test_impossible_settings_are_refused(ck, setting, value):
    with pytest.raises(InputError, match=f"{setting} must be"):
        ClassFolders(ck, **{setting: value})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loose.png", "the folder of a picture must be one of"),
        ("train/anger/1.png", "all pictures or none must stand below train, val or test"),
    ],
)
def test_a_picture_in_the_wrong_place_is_named(ck, name, words):
    draw(ck / name)
    with pytest.raises(InputError, match=words) as caught:
        ClassFolders(ck).read()
    assert "\n" not in str(caught.value)


def test_a_name_without_a_subject_is_refused(ck):
    draw(ck / "anger" / "somebody.png")
    with pytest.raises(InputError, match=r"subject_pattern.*anger/somebody\.png"):
        ClassFolders(ck, subject_pattern=r"(S\d+)_").read()


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "anger").mkdir()
    (tmp_path / "anger" / "readme.txt").write_text("none")
    with pytest.raises(InputError, match="must hold pictures in a folder per class, got none"):
        ClassFolders(tmp_path).read()


def test_classes_keep_the_order_of_the_study():
    assert CLASSES == ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
