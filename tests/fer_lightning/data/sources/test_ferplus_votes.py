"""The votes of FER+: the rules of its paper by hand, and its file beside fer2013.csv."""

import logging

import numpy as np
import pytest
import torch

from fer_lightning.data.cache import load
from fer_lightning.data.minibatches import TrainLoader, in_order
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.data.sources.ferplus_votes import COLUMNS, distribution, majority, of_seven
from fer_lightning.errors import InputError, SettingError

HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)


def votes(**given):
    return np.array([given.get(name, 0) for name in COLUMNS])


def shares(row):
    return {name: share for name, share in zip(COLUMNS, row.tolist(), strict=True) if share}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # 10 of 10
        ({"happiness": 10}, {"happiness": 1}),
        # one person alone does not count: 7 of 9 are three quarters, of 10 they would not be
        (
            {"neutral": 4, "sadness": 1, "anger": 3, "disgust": 2},
            {"neutral": 4 / 7, "anger": 3 / 7},
        ),
        # 8 of 10 are three quarters: the two of fear are not taken
        ({"surprise": 8, "fear": 2}, {"surprise": 1}),
        # 7 of 10 are not
        ({"surprise": 7, "fear": 3}, {"surprise": 0.7, "fear": 0.3}),
        # equally many are taken together
        ({"neutral": 5, "surprise": 5}, {"neutral": 0.5, "surprise": 0.5}),
        (
            {"happiness": 4, "neutral": 3, "sadness": 3},
            {"happiness": 0.4, "neutral": 0.3, "sadness": 0.3},
        ),
        # more than three labels, by a tie: unknown
        ({"happiness": 4, "neutral": 2, "sadness": 2, "anger": 2}, {"unknown": 1}),
        ({"neutral": 2, "happiness": 2, "sadness": 2, "anger": 2, "fear": 2}, {"unknown": 1}),
        # unknown comes after the others: it ends the taking, and is not taken
        ({"neutral": 6, "unknown": 4}, {"neutral": 1}),
        # as it does with as many votes as another
        ({"neutral": 5, "unknown": 5}, {"unknown": 1}),
        # what is before it has half of the votes or less
        ({"anger": 4, "unknown": 4, "sadness": 2}, {"unknown": 1}),
        # unknown or no face comes first
        ({"unknown": 6, "neutral": 4}, {"unknown": 1}),
        ({"NF": 10}, {"NF": 1}),
        # nobody agrees with anybody
        ({"neutral": 1, "fear": 1, "anger": 1}, {"unknown": 1}),
    ],
)
def test_the_distribution_follows_the_rules_of_the_paper(given, expected):
    assert shares(distribution(votes(**given))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"happiness": 6, "neutral": 4}, "happiness"),
        ({"happiness": 5, "neutral": 5}, "unknown"),
        # 5 of 9, as one person alone does not count
        ({"happiness": 5, "neutral": 4, "fear": 1}, "happiness"),
        ({"happiness": 4, "neutral": 3, "fear": 3}, "unknown"),
        ({"NF": 7, "neutral": 3}, "NF"),
        ({"contempt": 6, "neutral": 4}, "contempt"),
        ({"neutral": 1, "fear": 1}, "unknown"),
    ],
)
def test_the_majority_is_more_than_half(given, expected):
    assert shares(majority(votes(**given))) == {expected: 1}


def test_contempt_unknown_and_no_face_are_left_out_or_spread():
    rows = [
        votes(happiness=6, contempt=4) / 10,
        votes(contempt=6, anger=4) / 10,
        votes(unknown=1),
        votes(NF=1),
        votes(neutral=5, surprise=5) / 10,  # the first column of a tie is the label
        votes(anger=5, contempt=5) / 10,
    ]
    labels, seven = of_seven(np.stack(rows).astype(float))
    assert labels.tolist() == [3, -1, -1, -1, 6, 0]  # anger disgust fear happy sad surprise neutral
    expected = np.zeros((6, 7))
    expected[0, 3] = expected[5, 0] = 1
    expected[4, [5, 6]] = 0.5
    np.testing.assert_allclose(seven, expected)


@pytest.fixture
def both(drawn, csv_path, tmp_path):
    """fer2013.csv and fer2013new.csv: of each split the first face is none, the others differ."""
    usages = [line.split(",")[-1].strip() for line in csv_path.read_text().splitlines()[1:]]
    rows, seen = [], set()
    for i, usage in enumerate(usages):
        given = {"NF": 10} if usage not in seen else {"happiness": 6, "anger": 4}
        seen.add(usage)
        name = "" if "NF" in given else f"fer{i:07}.png"
        rows.append(f"{usage},{name}," + ",".join(map(str, votes(**given))))
    path = tmp_path / "fer2013new.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return csv_path, path


def test_votes_take_the_place_of_the_labels_row_by_row(both, caplog):
    csv_path, labels = both
    caplog.set_level(logging.INFO)
    plain, voted = Fer2013(csv_path).read(), Fer2013(csv_path, labels=labels).read()
    for split, faces in voted:
        own = getattr(plain, split)
        assert faces.index.tolist() == own.index.tolist()[1:]
        assert torch.equal(faces.images, own.images[1:])
        assert faces.labels.unique().tolist() == [3]
        assert faces.targets[0].tolist() == pytest.approx([0.4, 0, 0, 0.6, 0, 0, 0])
    n = sum(plain.sizes().values())
    assert f"fer2013new.csv: {n - 3} of {n} faces have a label by their votes (soft)" in caplog.text
    assert all(
        f.targets is None for _, f in Fer2013(csv_path, labels=labels, votes="majority").read()
    )


def test_training_takes_the_probabilities_and_evaluation_the_likeliest(both):
    faces = Fer2013(both[0], labels=both[1]).read().train
    for _, targets in TrainLoader(faces, 4, seed=0):
        assert targets.shape[1:] == (7,)
        assert targets.dtype == torch.float32
    assert all(labels.ndim == 1 for _, labels in in_order(faces, 4))


def test_the_cache_keeps_the_probabilities_wherever_the_files_lie(both, tmp_path):
    source = Fer2013(both[0], labels=both[1])
    first = load(source, tmp_path / "cache")
    again = load(source, tmp_path / "cache")
    for (_, a), (_, b) in zip(first, again, strict=True):
        assert torch.equal(a.targets, b.targets)
    moved = tmp_path / "elsewhere.csv"
    moved.write_bytes(both[1].read_bytes())
    before = {p.name for p in (tmp_path / "cache").glob("*.npz")}
    assert (
        load(Fer2013(both[0], labels=moved), tmp_path / "cache").fingerprint()
        == first.fingerprint()
    )
    assert {p.name for p in (tmp_path / "cache").glob("*.npz")} == before
    hard = load(Fer2013(both[0], labels=both[1], votes="majority"), tmp_path / "cache")
    assert hard.fingerprint() != first.fingerprint()


def test_pictures_cannot_be_joined(both, drawn, write_folder):
    with pytest.raises(SettingError, match="labels must be null for pictures, whose names have no"):
        Fer2013(write_folder(drawn), labels=both[1]).read()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace("contempt", "scorn"), "column 'contempt' is missing"),
        (
            lambda t: t.rsplit("\n", 2)[0] + "\n",
            r"must have the rows of .*fer2013.csv \(28\), got 27",
        ),
        (
            lambda t: t.replace("Training,", "PublicTest,", 1),
            "Usage in row [0-9]+ must be Training, as in",
        ),
        (
            lambda t: t.replace(",10\n", ",ten\n", 1),
            "NF in row 1 must be a number of votes, got 'ten'",
        ),
        (lambda t: t.replace(",10\n", "\n", 1), "NF in row 1 must be a number of votes, got ''"),
        (lambda t: t.replace(",10\n", ",0\n", 1), "row 1 must have votes, got none"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_one_line(both, change, words):
    csv_path, labels = both
    labels.write_text(change(labels.read_text()))
    with pytest.raises(InputError, match=words) as caught:
        Fer2013(csv_path, labels=labels).read()
    assert "\n" not in str(caught.value)


def test_impossible_settings_are_refused(both):
    with pytest.raises(SettingError, match="votes must be one of soft, majority, got 'all'"):
        Fer2013(both[0], labels=both[1], votes="all")
    with pytest.raises(InputError, match="no such file or folder"):
        Fer2013(both[0], labels="nowhere.csv")


def test_settings_of_the_votes_go_with_them(drawn, write_csv):
    path = write_csv(drawn)
    with pytest.raises(SettingError, match=r"labels must be given: fer2013new.csv of FER\+"):
        Fer2013(path, labels="")  # which data=ferplus has until data.labels is given
    with pytest.raises(SettingError, match="labels must be given where votes are majority"):
        Fer2013(path, votes="majority")
    with pytest.raises(SettingError, match="classes must be null where the votes of FER"):
        Fer2013(path, labels=path, classes={0: "happy"})
