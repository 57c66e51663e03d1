import csv
import json

import numpy as np
import pytest
import torch

from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.errors import InputError
from fer_lightning.training.augmenting.views import smoothed
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier


def read(folder):
    return json.loads((folder / "evaluation.json").read_text())


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names_in(folder):
    return {path.name.split(".tfevents")[0] for path in folder.iterdir()}


@pytest.fixture
def run(train_here, tmp_path):
    train_here("run", "optim.lr=0.05")
    return tmp_path / "run"


def test_a_run_is_evaluated_on_its_own_faces_in_its_own_folder(run, evaluate_here, csv_path):
    evaluate_here(run, figures=True)
    folder = run / "evaluation" / "test"
    tables = {"predictions.csv", "evaluation.json", "risk_coverage.csv"}
    pictures = {"uncertain", "mistakes", "confusion", "reliability", "risk_coverage", "first_layer"}
    expected = tables | {f"{name}.png" for name in pictures} | {"events.out"}
    assert names_in(folder) <= expected
    assert expected - names_in(folder) <= {"uncertain.png", "mistakes.png"}
    found, summary = read(folder), json.loads((run / "summary.json").read_text())
    best = summary["best"]
    assert found["ce"] == pytest.approx(best["test"]["ce"], rel=1e-5)
    assert found["acc"] == pytest.approx(best["test"]["acc"])
    assert (found["run"], found["checkpoint"], found["epoch"]) == (
        "run",
        "best.ckpt",
        best["epoch"],
    )
    fingerprint = summary["data"]["fingerprint"]
    assert found["data"] == {"name": "fer2013", "n": 28, "fingerprint": fingerprint}
    assert (found["split"], found["n"], found["threshold"]) == ("test", 7, 2 / 7)
    assert len(rows_of(folder / "risk_coverage.csv")) == 7
    assert not (run.parent / "output").exists()


def test_predictions_are_those_of_the_network_for_the_rows_of_the_source(
    run, evaluate_here, csv_path
):
    evaluate_here(run, settings=("split=val", "checkpoint=last"))
    rows = rows_of(run / "evaluation" / "val" / "predictions.csv")
    faces = Fer2013(csv_path).read().val  # in the order of the file
    assert [int(row["index"]) for row in rows] == faces.index.tolist()
    model = ExpressionClassifier.load_from_checkpoint(run / "checkpoints" / "last.ckpt").eval()
    with torch.no_grad():
        proba = model(faces.images).softmax(-1)
    shown = np.array([[float(score) for score in list(row.values())[3:]] for row in rows])
    np.testing.assert_allclose(shown, proba, rtol=1e-5)
    classes = list(rows[0])[3:]
    assert [row["true"] for row in rows] == [classes[label] for label in faces.labels]
    assert [row["predicted"] for row in rows] == [classes[label] for label in proba.argmax(-1)]


def test_a_second_evaluation_replaces_the_first(run, evaluate_here):
    folder = run / "evaluation" / "test"
    evaluate_here(run, settings=("threshold=0.99",), figures=True)
    assert (folder / "uncertain.png").exists()
    evaluate_here(run, settings=("threshold=1/100", "checkpoint=last"), figures=True)
    assert not (folder / "uncertain.png").exists()
    assert len(list(folder.glob("*.tfevents.*"))) == 1
    found = read(folder)
    assert (found["threshold"], found["checkpoint"]) == (0.01, "last.ckpt")
    assert names_in(folder.parent) == {"test", "reads.json"}


def test_mirrored_evaluation_takes_the_mean_of_both_probabilities(run, evaluate_here, csv_path):
    evaluate_here(run, settings=("tta=flip",))
    folder = run / "evaluation" / "test_tta_flip"
    assert read(folder)["tta"] == "flip"
    model = ExpressionClassifier.load_from_checkpoint(run / "checkpoints" / "best.ckpt").eval()
    images = Fer2013(csv_path).read().test.images
    turned = torch.from_numpy(images.numpy()[..., ::-1].copy())
    with torch.no_grad():
        proba = (model(images).softmax(-1) + model(turned).softmax(-1)) / 2
    rows = rows_of(folder / "predictions.csv")
    shown = np.array([[float(score) for score in list(row.values())[3:]] for row in rows])
    np.testing.assert_allclose(shown, proba, rtol=1e-5)


def test_ten_crops_are_the_mean_of_moved_and_mirrored_faces(run, evaluate_here, csv_path):
    evaluate_here(run, settings=("tta=ten_crop",))
    folder = run / "evaluation" / "test_tta_ten_crop"
    assert read(folder)["tta"] == "ten_crop"
    model = ExpressionClassifier.load_from_checkpoint(run / "checkpoints" / "best.ckpt").eval()
    images = Fer2013(csv_path).read().test.images.numpy()
    places = np.arange(images.shape[-1])
    probas = []
    for down, across in ((0, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        rows, columns = ((places + d).clip(0, len(places) - 1) for d in (down, across))
        moved = images[..., rows, :][..., columns]
        for view in (moved, moved[..., ::-1]):
            with torch.no_grad():
                probas.append(model(torch.from_numpy(view.copy())).softmax(-1))
    rows = rows_of(folder / "predictions.csv")
    shown = np.array([[float(score) for score in list(row.values())[3:]] for row in rows])
    np.testing.assert_allclose(shown, torch.stack(probas).mean(0), rtol=1e-5)


def test_a_run_is_evaluated_as_it_was_trained_unless_it_is_told_not_to(
    train_here, evaluate_here, tmp_path
):
    train_here("mirrored", "optim.lr=0.05", "tta=flip")
    run = tmp_path / "mirrored"
    evaluate_here(run)
    evaluate_here(run, settings=("tta=none",))
    own, plain = (read(run / "evaluation" / name) for name in ("test", "test_tta_none"))
    assert (own["tta"], plain["tta"]) == ("flip", None)
    assert own["ce"] != plain["ce"]
    best = json.loads((run / "summary.json").read_text())["best"]
    assert own["ce"] == pytest.approx(best["test"]["ce"], rel=1e-5)
    with pytest.raises(InputError, match="tta must be one of none, flip, ten_crop, got 'flop'"):
        evaluate_here(run, settings=("tta=flop",))


@pytest.mark.parametrize(("augment", "smooth"), [("standard", True), ("none", False)])
def test_faces_are_evaluated_as_smooth_as_those_that_were_moved(
    train_here, evaluate_here, tmp_path, augment, smooth
):
    train_here("run", "optim.lr=0.05", f"augment={augment}")
    evaluate_here(tmp_path / "run")
    facts = read(tmp_path / "run" / "evaluation" / "test")
    assert facts["smooth"] is smooth
    best = json.loads((tmp_path / "run" / "summary.json").read_text())["best"]
    assert facts["ce"] == pytest.approx(best["test"]["ce"], rel=1e-5)

    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    model = ExpressionClassifier.load_from_checkpoint(checkpoint)
    images = torch.rand(5, 1, 48, 48)
    same = smoothed(images) if smooth else images
    assert torch.equal(model.evaluated(images), model.network(same))


def test_what_prepares_faces_goes_with_the_network(train_here, evaluate_here, csv_path, tmp_path):
    train_here("spread", "optim.lr=0.05", "data.contrast=equalise")
    run = tmp_path / "spread"
    evaluate_here(run)
    own = read(run / "evaluation" / "test")
    best = json.loads((run / "summary.json").read_text())["best"]
    assert own["ce"] == pytest.approx(best["test"]["ce"], rel=1e-5)
    model = ExpressionClassifier.load_from_checkpoint(run / "checkpoints" / "best.ckpt").eval()
    dark = (torch.arange(256).repeat(9).view(1, 1, 48, 48) // 2).to(torch.uint8)
    with torch.no_grad():
        assert torch.equal(model(dark), model(dark + 100))
        assert not torch.equal(model(dark / 255), model((dark + 100) / 255))  # taken as they are


def test_it_is_counted_how_often_faces_are_read(run, evaluate_here, capsys):
    for given, n in (((), 1), (("split=val",), 1), (("tta=flip",), 2), ((), 3)):
        capsys.readouterr()
        evaluate_here(run, settings=given)
        said = capsys.readouterr().out
        assert ("read for the" in said) == (n > 1)
    assert "the test faces are read for the 3rd time" in said
    assert read(run / "evaluation" / "test")["read"] == 3
    counts = json.loads((run / "evaluation" / "reads.json").read_text())
    assert counts == {"test": 3, "val": 1}
    (run / "evaluation" / "reads.json").write_text("{")
    evaluate_here(run)
    assert read(run / "evaluation" / "test")["read"] == 1


def test_other_faces_go_beside_the_runs_own(run, evaluate_here, drawn, write_folder, tmp_path):
    own = ("data=fer2013", f"data.path={write_folder(drawn)}", "data.cache_dir=null")
    evaluate_here(run, settings=own)  # the same faces from another place
    assert names_in(run / "evaluation") == {"test", "reads.json"}
    drawn.pixels[0] = 0
    other = ("data=folder", f"data.path={write_folder(drawn)}", "data.val_fraction=0.3")
    evaluate_here(run, settings=(*other, "data.cache_dir=null"))
    assert names_in(run / "evaluation") == {"test", "folder_test", "reads.json"}
    assert read(run / "evaluation" / "folder_test")["data"]["name"] == "folder"


def test_a_checkpoint_outside_of_a_run_needs_faces_and_a_folder(
    run, evaluate_here, csv_path, tmp_path
):
    path = tmp_path / "a=b, c.ckpt"
    (run / "checkpoints" / "best.ckpt").rename(path)
    with pytest.raises(InputError, match="data must be given for a checkpoint outside"):
        evaluate_here(path)
    data = ("data=fer2013", f"data.path={csv_path}", "data.cache_dir=null")
    evaluate_here(path, settings=data)
    assert read(tmp_path / "output")["run"] is None
    assert read(tmp_path / "output")["n"] == 7


def test_several_runs_are_compared(train_here, evaluate_here, tmp_path, capsys):
    for name, seed in (("a", 1), ("b", 2)):
        train_here(name, f"seed={seed}", "optim.lr=0.05")
    evaluate_here(tmp_path / "a", tmp_path / "b" / "checkpoints" / "last.ckpt")
    rows = rows_of(tmp_path / "output" / "comparison.csv")
    assert [row["run"] for row in rows] == ["a", "b/checkpoints/last.ckpt"]
    right = []
    for row, name in zip(rows, "ab", strict=True):
        folder = tmp_path / name / "evaluation" / "test"
        found = read(folder)
        assert float(row["acc"]) == found["acc"]
        assert float(row["calibrated_nll"]) == found["calibrated"]["nll"]
        predictions = rows_of(folder / "predictions.csv")
        right.append(np.array([p["true"] == p["predicted"] for p in predictions]))
    comparison = json.loads((tmp_path / "output" / "comparison.json").read_text())
    (pair,) = comparison["mcnemar"]["pairs"]
    assert pair["only_first"] == (right[0] & ~right[1]).sum()
    assert pair["only_second"] == (~right[0] & right[1]).sum()
    assert "McNemar's test, exact" in capsys.readouterr().out


def test_a_network_that_cannot_be_read_does_not_stop_the_others(
    train_here, evaluate_here, tmp_path, caplog
):
    (tmp_path / "sweep").mkdir()
    for name in ("sweep/1", "sweep/2", "sweep/3"):
        train_here(name, "trainer.max_epochs=1")
    (tmp_path / "sweep" / "2" / "checkpoints" / "best.ckpt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="1 of 3 networks could not be evaluated"):
        evaluate_here(tmp_path / "sweep")
    assert "best.ckpt: not a checkpoint, or a damaged one" in caplog.text
    rows = rows_of(tmp_path / "output" / "comparison.csv")
    assert [row["run"] for row in rows] == ["1", "3"]


def test_several_checkpoints_outside_of_runs_have_folders_of_their_own(
    run, evaluate_here, csv_path, tmp_path
):
    for name in ("best", "last"):
        (run / "checkpoints" / f"{name}.ckpt").rename(tmp_path / f"{name}.ckpt")
    data = ("data=fer2013", f"data.path={csv_path}", "data.cache_dir=null")
    evaluate_here(tmp_path / "best.ckpt", tmp_path / "last.ckpt", settings=data)
    files = {"comparison.csv", "comparison.json", "best.ckpt", "last.ckpt"}
    assert names_in(tmp_path / "output") == files
    assert read(tmp_path / "output" / "last.ckpt")["epoch"] == 3


def test_a_run_of_cross_validation_is_evaluated_on_its_fold(train_here, evaluate_here, tmp_path):
    train_here("run", "data.cv_folds=3", "data.cv_fold=1", "optim.lr=0.05")
    evaluate_here(tmp_path / "run", settings=("split=val", "checkpoint=last"))
    found = read(tmp_path / "run" / "evaluation" / "val")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert found["data"]["fingerprint"] == summary["data"]["fingerprint"]
    assert found["ce"] == pytest.approx(summary["final"]["val"]["ce"], rel=1e-5)


def test_faces_that_changed_since_the_run_are_told(run, evaluate_here, drawn, write_csv, caplog):
    drawn.pixels[0] = 0
    write_csv(drawn)
    evaluate_here(run)
    assert "the faces are no longer those that the run was made with" in caplog.text


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("split=all", "split must be one of train, val, test, got 'all'"),
        ("checkpoint=first", "checkpoint must be one of best, last, got 'first'"),
        ("threshold=0", "threshold must be a number above 0 and below 1"),
        ("threshold=7/2", "threshold must be a number above 0 and below 1"),
        ("threshold=half", "threshold must be a number above 0 and below 1"),
        ("threshold=1/0", "threshold must be a number above 0 and below 1"),
        ("runs=[]", "runs must be given"),
    ],
)
def test_settings_that_make_no_sense_are_named(evaluate_here, tmp_path, setting, words):
    with pytest.raises(InputError, match=words):
        evaluate_here(tmp_path, settings=(setting,))


def test_a_folder_that_cannot_be_written_is_named(run, evaluate_here):
    (run / "evaluation").write_text("in the way")
    with pytest.raises(InputError, match=r"evaluation/test: cannot be written \("):
        evaluate_here(run)
