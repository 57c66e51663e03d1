"""The command: its files, the runs that it asks, and what `data.drop` then does."""

import csv
import json
import re

import pytest

from fer_lightning.audit.job import audit
from fer_lightning.errors import InputError
from fer_lightning.evaluation import load_network


@pytest.fixture
def with_twins(drawn, write_csv):
    """A csv file whose first test face is a training face again, and whose last one is black."""
    test, train = ((drawn.splits == number).nonzero()[0] for number in (2, 0))
    drawn.pixels[test[0]] = drawn.pixels[train[0]]
    drawn.pixels[train[1]] = 0
    return write_csv(drawn)


@pytest.fixture
def audit_here(composed, with_twins, tmp_path):
    def run(*settings):
        given = ["data=fer2013", f"data.path={with_twins}", f"data.cache_dir={tmp_path / 'cache'}"]
        return audit(composed("audit", *given, *settings), tmp_path)

    return run


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_found_can_be_left_out(shell, with_twins, tmp_path):
    settings = ["data=fer2013", f"data.path={with_twins}", "data.cache_dir=null"]
    done = shell("fer_lightning.data", "audit", *settings, f"hydra.run.dir={tmp_path / 'audit'}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^exact +1 +0 +1 +2$", done.stderr, re.MULTILINE)
    assert re.search(r"^runs= adds labels .* data.cv_folds=5", done.stderr, re.MULTILINE)
    found = rows_of(tmp_path / "audit" / "audit.csv")
    assert {"exact", "empty"} <= {row["finding"] for row in found} <= {"exact", "empty", "conflict"}
    assert (tmp_path / "audit" / "audit.html").read_text().count("<img ") >= 3
    drop = f"data.drop={tmp_path / 'audit' / 'audit.csv'}"
    run = [drop, "trainer.max_epochs=1", "threads=1", f"hydra.run.dir={tmp_path / 'run'}"]
    trained = shell("train.py", *settings, *run)
    assert trained.returncode == 0, trained.stderr
    assert "2 of 14 training faces are left out (data.drop)" in trained.stderr
    facts = json.loads((tmp_path / "run" / "summary.json").read_text())["data"]
    assert (facts["train"], facts["left_out"]) == (12, 2)
    refused = shell("train.py", drop, "data.cache_dir=null", f"hydra.run.dir={tmp_path / 'other'}")
    assert refused.returncode == 1
    assert refused.stderr.startswith("data.drop must be the audit.csv of these faces")
    assert refused.stderr.count("\n") == 1


def test_the_networks_of_each_fold_are_asked_about_it(train_here, audit_here, tmp_path):
    (tmp_path / "sweep").mkdir()
    for fold in range(3):
        given = ("data.cv_folds=3", f"data.cv_fold={fold}", "optim.lr=0.05")
        train_here(f"sweep/{fold + 1}", *given, "trainer.max_epochs=1")
    found = audit_here(f"runs={tmp_path / 'sweep'}")
    assert found.labels is not None

    from fer_lightning.audit.out_of_fold import out_of_fold
    from fer_lightning.data import Faces, Fer2013, cross_validated

    whole = Fer2013(tmp_path / "fer2013.csv").read().in_canonical_order()
    proba = out_of_fold([str(tmp_path / "sweep")], whole)
    joined = Faces.joined(whole.train, whole.val)
    place = {int(index): i for i, index in enumerate(joined.index)}
    for fold in range(3):
        model, _ = load_network(tmp_path / "sweep" / str(fold + 1) / "checkpoints" / "best.ckpt")
        held_out = cross_validated(whole, 3, fold).val
        expected = model(held_out.images).double().softmax(-1).detach()
        rows = [place[int(index)] for index in held_out.index]
        assert proba[rows].numpy() == pytest.approx(expected.numpy(), abs=1e-6)
    labelled = [row for row in rows_of(tmp_path / "audit.csv") if row["finding"] == "label"]
    assert len(labelled) == len(found.labels.rows)
    for row in labelled:
        assert -1 <= float(row["margin"]) <= 0
        assert row["suggested"] != row["label"]


def test_runs_that_are_no_cross_validation_of_these_faces_are_one_line(
    train_here, audit_here, with_twins, tmp_path, drawn, write_csv
):
    train_here("plain", "trainer.max_epochs=1")
    with pytest.raises(InputError, match="runs must be those of a sweep over"):
        audit_here(f"runs={tmp_path / 'plain'}")
    for fold in range(2):
        train_here(f"{fold}", "data.cv_folds=2", f"data.cv_fold={fold}", "trainer.max_epochs=1")
    with pytest.raises(InputError, match="each of the 2 folds, got none with"):
        audit_here(f"runs={tmp_path / '0'}")
    with pytest.raises(InputError, match="no such run or checkpoint"):
        audit_here("runs=gone")
    runs = f"runs=[{tmp_path / '0'},{tmp_path / '1'}]"
    audit_here(runs)
    own = with_twins.read_bytes()
    drawn.pixels[(drawn.splits == 0).nonzero()[0][3]] = 7
    other = write_csv(drawn).rename(tmp_path / "other.csv")
    with_twins.write_bytes(own)
    with pytest.raises(
        InputError, match=r"runs must be of these faces, whose fingerprint is \w+, got"
    ):
        audit_here(runs, f"data.path={other}")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.drop=audit.csv", "data.drop must be null for an audit"),
        ("data.batch_size=0", "data.batch_size must be an integer of at least 1"),
        ("runs=3", "runs must be folders of runs or of a sweep, got 3"),
        ("runs=[]", "runs must be folders of runs or of a sweep"),
        ("runs=''", "runs must be folders of runs or of a sweep, got ''"),
    ],
)
def test_what_an_audit_has_no_use_for_is_one_line(audit_here, setting, told):
    with pytest.raises(InputError, match=told):
        audit_here(setting)


def test_folds_are_no_part_of_an_audit(audit_here):
    with pytest.raises(InputError, match=r"data\.cv_folds must be null for an audit"):
        audit_here("data.cv_folds=5", "data.cv_fold=0")
