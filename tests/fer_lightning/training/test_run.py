import csv
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.errors import InputError
from fer_lightning.networks.mlp import MLP
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier


def rows_of(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def without_seconds(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows_of(folder)]


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_run_leaves_everything_in_its_folder(train_here, tmp_path, model, csv_path):
    returned = train_here("run", f"model={model}", "optim.lr=0.02")
    run = tmp_path / "run"
    names = {path.relative_to(run).as_posix().split(".tfevents")[0] for path in run.rglob("*.*")}
    expected = {"metrics.csv", "summary.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt"}
    assert names == expected | {f"{place}events.out" for place in ("", "train/", "val/")}
    rows, summary = rows_of(run), summary_of(run)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    accuracies = [float(row["val_acc"]) for row in rows]
    assert returned == pytest.approx(max(accuracies), abs=1e-8)
    assert summary["best"]["epoch"] == accuracies.index(max(accuracies)) + 1
    assert summary["final"]["epoch"] == summary["epochs"] == 3
    for name in ("ce", "acc"):
        assert summary["final"]["val"][name] == pytest.approx(float(rows[-1][f"val_{name}"]))
    assert summary["n_parameters"] == {"mlp": 37_655, "cnn": 10_599}[model]
    assert (summary["diverged"], summary["diverged_epoch"], summary["seed"]) == (False, None, 0)
    assert summary["overrides"] == [f"model={model}", "optim.lr=0.02"]
    fingerprint = Fer2013(csv_path).read().in_canonical_order().fingerprint()
    facts = {"name": "fer2013", "train": 14, "val": 7, "test": 7, "fingerprint": fingerprint}
    assert summary["data"] == facts
    assert summary["device"] == "cpu"
    assert summary["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("name", ["best", "last"])
def test_checkpoints_hold_the_networks_of_the_summary(train_here, tmp_path, name, csv_path):
    train_here("run", "model=cnn", "optim.lr=0.1", "trainer.max_epochs=8", "data.batch_size=4")
    summary = summary_of(tmp_path / "run")
    assert summary["best"]["epoch"] < 8  # or both files would hold the same network
    model = ExpressionClassifier.load_from_checkpoint(
        tmp_path / "run" / "checkpoints" / f"{name}.ckpt"
    )
    scores = summary["best" if name == "best" else "final"]
    row = rows_of(tmp_path / "run")[scores["epoch"] - 1]
    assert scores["val"]["ce"] == pytest.approx(float(row["val_ce"]))
    for split, faces in Fer2013(csv_path).read():
        with torch.no_grad():
            logits = model(faces.images)
        assert F.cross_entropy(logits, faces.labels).item() == pytest.approx(scores[split]["ce"])
        acc = (logits.argmax(1) == faces.labels).float().mean().item()
        assert acc == pytest.approx(scores[split]["acc"])


def test_curves_are_means_over_all_faces_of_an_epoch(train_here, tmp_path, csv_path):
    # with a negligible learning rate the network stays what it was at the start
    train_here("run", "optim.lr=1e-30", "data.batch_size=4", "trainer.max_epochs=1")
    torch.manual_seed(0)
    model = ExpressionClassifier(MLP())
    row = rows_of(tmp_path / "run")[0]
    for split, faces in list(Fer2013(csv_path).read())[:2]:
        with torch.no_grad():
            ce = F.cross_entropy(model(faces.images), faces.labels).item()
        assert float(row[f"{split}_ce"]) == pytest.approx(ce, rel=1e-6)


def test_one_seed_gives_one_curve_and_another_seed_another(train_here, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train_here(name, f"seed={seed}", "model=cnn")
    a, b, c = (without_seconds(tmp_path / name) for name in "abc")
    assert a == b != c


def test_csv_and_folder_give_the_same_curve(train_here, tmp_path, drawn, write_folder):
    train_here("csv")
    train_here("folder", f"data.path={write_folder(drawn)}")
    assert without_seconds(tmp_path / "csv") == without_seconds(tmp_path / "folder")


def test_a_diverged_run_ends_with_its_epoch_and_what_it_had(train_here, tmp_path):
    best = train_here("run", "optim.lr=1e30", "trainer.max_epochs=50", "data.batch_size=14")
    summary = summary_of(tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert summary["diverged"] is True
    assert summary["diverged_epoch"] == summary["epochs"] == len(rows) < 50
    assert not math.isfinite(float(rows[-1]["train_ce"]))
    assert summary["final"]["test"] == {"ce": None, "acc": None}
    finite = [float(row["val_acc"]) for row in rows if math.isfinite(float(row["val_ce"]))]
    assert best == pytest.approx(max(finite, default=0.0))


def test_other_precisions_give_nearly_the_same_curve(train_here, tmp_path):
    for precision in ("32-true", "64-true", "bf16-mixed"):
        train_here(precision, f"+trainer.precision={precision}", "optim.lr=0.05", "model=cnn")
    losses = {
        precision: [float(row["val_ce"]) for row in rows_of(tmp_path / precision)]
        for precision in ("32-true", "64-true", "bf16-mixed")
    }
    np.testing.assert_allclose(losses["32-true"], losses["64-true"], rtol=1e-4)
    np.testing.assert_allclose(losses["bf16-mixed"], losses["64-true"], rtol=0.02)
    assert losses["32-true"] != losses["64-true"]


@pytest.mark.parametrize("optim", ["sgd", "adamw"])
def test_optimisers_learn_a_few_faces_by_heart(train_here, tmp_path, optim):
    lr = {"sgd": 0.05, "adamw": 0.003}[optim]
    settings = ["data.batch_size=4", "trainer.max_epochs=60", f"optim.lr={lr}"]
    train_here("run", f"optim={optim}", "model=cnn", *settings)
    assert summary_of(tmp_path / "run")["final"]["train"]["acc"] == 1


def test_tensorboard_shows_train_and_validation_in_shared_panels(train_here, tmp_path, tensorboard):
    train_here("run", "optim.lr=0.05")
    show = tensorboard()
    tags = show("scalars/tags", until=lambda found: len(found) == 3)
    assert tags.keys() == {"run", "run/train", "run/val"}
    assert tags["run/train"].keys() == tags["run/val"].keys() == {"ce", "acc"}
    assert all(tag.startswith("summary/") for tag in tags["run"])
    rows = rows_of(tmp_path / "run")
    for split in ("train", "val"):
        for name in ("ce", "acc"):
            points = show(f"scalars/scalars?run=run%2F{split}&tag={name}")
            assert [step for _, step, _ in points] == [1, 2, 3]
            expected = [float(row[f"{split}_{name}"]) for row in rows]
            np.testing.assert_allclose([value for *_, value in points], expected, rtol=1e-6)
    ((_, step, value),) = show("scalars/scalars?run=run&tag=summary%2Ftest_ce")
    assert step == 3
    assert value == pytest.approx(summary_of(tmp_path / "run")["final"]["test"]["ce"])


def test_a_fold_trains_and_validates_in_place_of_the_splits(train_here, tmp_path):
    train_here("run", "data.cv_folds=3", "data.cv_fold=2", "trainer.max_epochs=1")
    data = summary_of(tmp_path / "run")["data"]
    assert [data[split] for split in ("train", "val", "test")] == [14, 7, 7]
    train_here("other", "data.cv_folds=5", "data.cv_fold=0", "trainer.max_epochs=1", "seed=4")
    data = summary_of(tmp_path / "other")["data"]
    assert [data[split] for split in ("train", "val", "test")] == [16, 5, 7]


def test_both_engines_leave_the_same_curve(train_here, tmp_path):
    for engine in ("lightning", "fused"):
        train_here(engine, f"engine={engine}", "+trainer.precision=64-true", "data.batch_size=3")
    lightning, fused = (without_seconds(tmp_path / engine) for engine in ("lightning", "fused"))
    for a, b in zip(lightning, fused, strict=True):
        for name, value in a.items():
            assert float(value) == pytest.approx(float(b[name]), rel=1e-8)


@pytest.mark.parametrize(
    ("overrides", "engine"),
    [
        (["data.batch_size=1", "trainer.max_epochs=100000"], "fused"),
        (["data.batch_size=10", "trainer.max_epochs=1"], "fused"),
        (["data.batch_size=11", "trainer.max_epochs=100000"], "lightning"),
        (["data.batch_size=1", "callbacks=early_stopping"], "lightning"),
        (["data.batch_size=1", "callbacks=none", "schedule=cosine", "logger=csv"], "fused"),
        (["data.batch_size=1", "loss.label_smoothing=0.1"], "lightning"),
        (["data.batch_size=1", "trainer.log_every_n_steps=1"], "lightning"),
        (["model=cnn", "data.batch_size=1", "optim=adamw"], "lightning"),
        (["data.batch_size=1", "trainer.max_epochs=100000", "engine=lightning"], "lightning"),
        (["data.batch_size=1", "trainer.max_epochs=100000", "+trainer.min_epochs=1"], "lightning"),
        (["engine=fused"], "fused"),
    ],
)
def test_linear_layers_with_few_faces_a_minibatch_take_the_fused_loop(
    composed, csv_path, tmp_path, overrides, engine
):
    given = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null", *overrides]
    from fer_lightning.fused.single_run import chosen_engine
    from fer_lightning.training.run import Run

    run = Run(composed("train", *given, "trainer.accelerator=cpu"), tmp_path, [])
    assert chosen_engine(run) == engine


@pytest.mark.parametrize(
    ("filters", "batch_size", "n_threads", "engine"),
    [
        ([8, 16], 10, 16, "fused"),
        ([8, 16], 11, 3, "lightning"),
        ([8, 24], 1000, 2, "fused"),
        ([25, 8], 1, 2, "lightning"),
        ([25, 8], 1000, 1, "fused"),
    ],
)
def test_a_cnn_takes_the_fused_loop_unless_much_work_has_many_cores(
    composed, csv_path, tmp_path, monkeypatch, filters, batch_size, n_threads, engine
):
    from fer_lightning.fused.single_run import chosen_engine
    from fer_lightning.training.run import Run

    given = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null", "model=cnn"]
    given += [f"data.batch_size={batch_size}", f"model.filters={filters}"]
    given += ["trainer.accelerator=cpu"]
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    assert chosen_engine(Run(composed("train", *given), tmp_path, [])) == engine


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("engine=keras", "engine must be one of auto, lightning, fused, got 'keras'"),
        ("compile=maybe", "compile must be auto, true or false, got 'maybe'"),
    ],
)
def test_engine_and_compile_have_their_choices(train_here, setting, told):
    with pytest.raises(InputError, match=told):
        train_here("wrong", setting)


def test_the_fused_loop_says_what_it_cannot_do(train_here):
    with pytest.raises(InputError, match=r"engine must be lightning, as trainer\.precision=bf16"):
        train_here("wrong", "engine=fused", "+trainer.precision=bf16-true")
