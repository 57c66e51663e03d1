"""Which faces `data.drop` leaves out of training; the files are written here, not by the audit."""

import csv
import json
import logging

import numpy as np
import pytest

from fer_lightning.data import CLASSES, FaceDataModule, Fer2013
from fer_lightning.data.findings import AUDIT_COLUMNS
from fer_lightning.data.loading import loaded, twins_in_training
from fer_lightning.errors import InputError


@pytest.fixture
def whole(csv_path):
    return Fer2013(csv_path).read().in_canonical_order()


@pytest.fixture
def write_audit(tmp_path, whole):
    """Write an audit.csv; a finding is a split, a row, what is found, and a group."""

    def write(*findings, name="audit.csv", fingerprint=None, label=None):
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(AUDIT_COLUMNS)
            for split, row, finding, *group in findings:
                faces = getattr(whole, split)
                told = label or CLASSES[faces.labels[row]]
                cells = [split, row, int(faces.index[row]), told, finding, *(group or [""])]
                writer.writerow([*cells, "", "", "", "", fingerprint or whole.fingerprint()])
        return path

    return write


def left_out(whole, found):
    """The rows of the training split that are no longer there, by their pixels."""
    there = {face.numpy().tobytes() for face in found.splits.train.images}
    return [i for i, x in enumerate(whole.train.images) if x.numpy().tobytes() not in there]


@pytest.mark.parametrize(
    ("findings", "dropped"),
    [
        ([("train", 3, "exact", 1), ("test", 0, "exact", 1)], [3]),
        ([("train", 3, "near", 1), ("val", 0, "near", 1), ("train", 5, "near", 1)], [3, 5]),
        ([("train", i, "exact", 1) for i in (9, 2, 6)], [6, 9]),
        ([("train", i, "mirrored", i // 2) for i in (2, 3, 4, 5)], [3, 5]),
        ([("train", i, f, 1) for i in (2, 6) for f in ("exact", "conflict")], [2, 6]),
        ([("test", i, "exact", 1) for i in (2, 3)], []),
        ([("train", 4, "empty"), ("val", 1, "empty"), ("train", 7, "label")], [4]),
        # of two equal ones the first is empty, so the second stays
        ([("train", 4, "exact", 1), ("train", 4, "empty"), ("train", 8, "exact", 1)], [4]),
        ([], []),
    ],
)
def test_training_alone_loses_what_an_audit_found(whole, csv_path, write_audit, findings, dropped):
    found = loaded(Fer2013(csv_path), drop=write_audit(*findings))
    assert left_out(whole, found) == dropped
    assert found.left_out == len(dropped)
    assert found.splits.sizes() == {"train": 14 - len(dropped), "val": 7, "test": 7}
    assert found.keys["train"].tolist() == [i for i in range(14) if i not in dropped]
    for split in ("val", "test"):
        assert getattr(found.splits, split).index.tolist() == getattr(whole, split).index.tolist()


@pytest.mark.parametrize(
    ("chosen", "dropped"), [(["label"], [7]), (["empty", "near"], [4, 6]), ([], [])]
)
def test_findings_are_chosen_by_name(whole, csv_path, write_audit, chosen, dropped):
    rows = [("train", 4, "empty"), ("train", 7, "label"), ("train", 1, "exact", 1)]
    rows += [("train", 2, "exact", 1), ("train", 6, "near", 2), ("val", 3, "near", 2)]
    found = loaded(Fer2013(csv_path), drop=write_audit(*rows), drop_findings=chosen)
    assert left_out(whole, found) == dropped


def test_in_cross_validation_the_twin_of_a_face_that_validates_is_left_out(
    whole, csv_path, write_audit
):
    pairs = [(("train", i), ("val", i % 7)) for i in range(0, 14, 3)]
    rows = [(*face, "exact", g) for g, pair in enumerate(pairs, 1) for face in pair]
    path = write_audit(*rows)
    n_left_out = 0
    for fold in range(3):
        plain = loaded(Fer2013(csv_path), cv_folds=3, cv_fold=fold)
        found = loaded(Fer2013(csv_path), cv_folds=3, cv_fold=fold, drop=path)
        trained, validates = (set(plain.keys[split].tolist()) for split in ("train", "val"))
        expected = set()
        for (_, i), (_, j) in pairs:
            a, b = i, 14 + j
            if {a, b} <= trained:
                expected.add(b)
            elif validates & {a, b}:
                expected |= {a, b} & trained
        assert set(plain.keys["train"].tolist()) - set(found.keys["train"].tolist()) == expected
        assert found.keys["val"].tolist() == plain.keys["val"].tolist()
        joined = np.concatenate([part.images.numpy() for _, part in whole])
        for split, part in found.splits:
            assert np.array_equal(part.images.numpy(), joined[found.keys[split].numpy()])
        n_left_out += len(expected)
    assert n_left_out > 3


def test_a_file_goes_with_the_same_faces_from_another_place(
    whole, csv_path, drawn, write_folder, write_audit
):
    path = write_audit(("train", 3, "empty"))
    found = loaded(Fer2013(write_folder(drawn)), drop=path)
    assert left_out(whole, found) == [3]


def test_what_is_no_audit_of_these_faces_is_one_line(csv_path, tmp_path, write_audit):
    source, made = Fer2013(csv_path), "; python -m fer_lightning.data audit makes one"

    def refused(path):
        with pytest.raises(InputError) as caught:
            loaded(source, drop=path)
        message = str(caught.value)
        assert message.startswith("data.drop must be ")
        assert message.endswith(made)
        assert message.count("\n") == 0
        return message

    fingerprint = loaded(source).whole.fingerprint()
    other = refused(write_audit(("train", 0, "empty"), fingerprint="0123456789abcdef"))
    assert f"of these faces, whose fingerprint is {fingerprint}, got " in other
    assert "of 0123456789abcdef" in other
    assert "No such file" in refused(tmp_path / "gone.csv")
    assert "must have the columns" in refused(csv_path)
    assert "is not 'nobody'" in refused(write_audit(("train", 3, "empty"), label="nobody"))
    good = write_audit(("train", 3, "empty"), ("train", 4, "empty"))
    for wrong, right in (("train,3", "train,-3"), ("train,3", "train,9999"), ("empty", "emptied")):
        path = tmp_path / "damaged.csv"
        path.write_text(good.read_text().replace(wrong, right, 1))
        refused(path)
    path.write_bytes(good.read_bytes()[:-120] + b"\xff\x00")
    refused(path)


def test_all_faces_cannot_be_left_out(csv_path, write_audit):
    path = write_audit(*(("train", i, "empty") for i in range(14)))
    with pytest.raises(InputError, match="must leave faces to train on, got"):
        loaded(Fer2013(csv_path), drop=path)


@pytest.mark.parametrize("value", ["exact", ["exact", "twins"], 3])
def test_unknown_findings_are_refused(csv_path, value):
    with pytest.raises(InputError, match="drop_findings must be a list of exact, near, mirrored"):
        FaceDataModule(Fer2013(csv_path), drop_findings=value)


def test_twins_in_training_are_known_by_the_faces_that_a_run_was_trained_on(csv_path, write_audit):
    rows = [("train", 3, "exact", 1), ("test", 0, "exact", 1), ("test", 5, "near", 2)]
    rows += [("train", 8, "near", 2), ("test", 6, "exact", 3), ("test", 2, "exact", 3)]
    path = write_audit(*rows, ("train", 3, "conflict", 1), ("train", 9, "near", 2))
    found = loaded(Fer2013(csv_path))
    told = {s: twins_in_training(found, path, s, "twins") for s in ("train", "val", "test")}
    assert told["test"].nonzero().flatten().tolist() == [0, 5]
    assert told["train"].nonzero().flatten().tolist() == [8, 9]
    assert not told["val"].any()
    without = loaded(Fer2013(csv_path), drop=path, drop_findings=["exact"])
    assert twins_in_training(without, path, "test", "twins").nonzero().flatten().tolist() == [5]


def test_a_run_says_how_many_were_left_out_and_goes_on_without_them(
    train_here, csv_path, write_audit, tmp_path, composed, caplog
):

    path = write_audit(("train", 3, "exact", 1), ("test", 0, "exact", 1), ("train", 5, "empty"))
    caplog.set_level(logging.INFO)
    train_here("run", f"data.drop={path}", "trainer.max_epochs=1")
    assert "2 of 14 training faces are left out (data.drop)" in caplog.text
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {"train": 12, "val": 7, "test": 7, "left_out": 2}.items() <= summary["data"].items()
    assert summary["settings"]["data.drop"] == str(path)
    train_here("plain", "trainer.max_epochs=1")  # from the same cache
    plain = json.loads((tmp_path / "plain" / "summary.json").read_text())
    assert plain["data"]["train"] == 14
    assert "left_out" not in plain["data"]
    assert plain["data"]["fingerprint"] != summary["data"]["fingerprint"]
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1


def test_a_run_that_goes_on_leaves_out_the_same_faces(
    composed, csv_path, write_audit, tmp_path, monkeypatch
):
    from omegaconf import OmegaConf

    from fer_lightning.runs.settings import stored_settings

    write_audit(("train", 3, "empty"))
    given = ["data=fer2013", f"data.path={csv_path}", "data.drop=audit.csv", "data.cache_dir=null"]
    settings = tmp_path / "run" / ".hydra"
    settings.mkdir(parents=True)
    OmegaConf.save(composed("train", *given), settings / "config.yaml")
    OmegaConf.save(given, settings / "overrides.yaml")
    started_in = {"hydra": {"runtime": {"cwd": str(tmp_path)}}}
    OmegaConf.save(OmegaConf.create(started_in), settings / "hydra.yaml")
    monkeypatch.chdir("/")
    config, _ = stored_settings(tmp_path / "run")
    from fer_lightning.data import ResidentFaces
    from fer_lightning.training.assembly import faces_of

    assert faces_of(config, ResidentFaces).splits.sizes()["train"] == 13


def test_the_mixtures_leave_out_the_same_faces(composed, csv_path, write_audit):
    from gmm.faces.face_points import face_points

    given = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    path = write_audit(("train", 3, "empty"))
    config = composed("gmm/cluster", *given, f"data.drop={path}")
    assert face_points(config).splits.sizes()["train"] == 13


def test_an_evaluation_tells_the_faces_with_and_without_a_twin(
    train_here, evaluate_here, write_audit, tmp_path, capsys
):
    rows = [(s, 3, "exact", 1) for s in ("train", "test")]
    rows += [("train", 4, "near", 2), ("test", 0, "near", 2)]
    path = write_audit(*rows)
    train_here("run", "optim.lr=0.05")
    evaluate_here(tmp_path / "run", settings=(f"twins={path}",))
    folder = tmp_path / "run" / "evaluation" / "test"
    facts = json.loads((folder / "evaluation.json").read_text())
    with (folder / "predictions.csv").open(newline="") as file:
        right = {int(p["index"]): p["true"] == p["predicted"] for p in csv.DictReader(file)}
    with path.open(newline="") as file:
        twinned = {int(r["index"]) for r in csv.DictReader(file) if r["split"] == "test"}
    assert len(twinned) == 2
    for name, members in (("with_twin", twinned), ("without_twin", right.keys() - twinned)):
        expected = sum(right[i] for i in members) / len(members)
        assert (facts[name]["n"], facts[name]["acc"]) == (len(members), pytest.approx(expected))
    told = capsys.readouterr().out
    assert "with a twin in training: 2 faces, " in told
    assert "without one: 5 faces, " in told
    evaluate_here(tmp_path / "run")
    assert "with_twin" not in json.loads((folder / "evaluation.json").read_text())


def test_a_run_without_twins_is_evaluated_with_none(
    train_here, evaluate_here, write_audit, tmp_path
):
    path = write_audit(("train", 3, "exact", 1), ("test", 0, "exact", 1))
    train_here("run", "optim.lr=0.05", f"data.drop={path}")
    evaluate_here(tmp_path / "run", settings=(f"twins={path}",))
    facts = json.loads((tmp_path / "run" / "evaluation" / "test" / "evaluation.json").read_text())
    assert facts["with_twin"] == {"n": 0, "acc": None, "acc_interval": None}
    assert facts["without_twin"]["acc"] == facts["acc"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert facts["data"]["fingerprint"] == summary["data"]["fingerprint"]
