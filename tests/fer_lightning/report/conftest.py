"""Folders as runs leave them, written by hand."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

COLUMNS = ("epoch", "train_ce", "train_acc", "val_ce", "val_acc", "seconds")


@pytest.fixture
def write_run(tmp_path) -> Callable[..., Path]:
    """Write the folder of a network's run; `val_acc` and `val_ce` are its curves."""

    def write(
        name: str,
        val_acc: Sequence[float] = (0.3, 0.5, 0.4),
        val_ce: Sequence[float] = (1.9, 1.5, 1.6),
        overrides: Sequence[str] = (),
        **changes: object,
    ) -> Path:
        folder = tmp_path / name
        (folder / ".hydra").mkdir(parents=True)
        (folder / "train.log").touch()
        (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(list(overrides)))
        with (folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for epoch, (acc, ce) in enumerate(zip(val_acc, val_ce, strict=True), 1):
                writer.writerow([epoch, ce - 0.1, acc + 0.05, ce, acc, 2.0])
        summary = summary_of(val_acc, val_ce) | changes
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return write


def summary_of(val_acc: Sequence[float], val_ce: Sequence[float]) -> dict[str, object]:
    """What `summary.json` says of a run with these curves; the test figures are a bit worse."""

    def scores(epoch: int) -> dict[str, object]:
        acc, ce = val_acc[epoch - 1], val_ce[epoch - 1]
        return {
            "epoch": epoch,
            "train": {"ce": ce - 0.1, "acc": acc + 0.05},
            "val": {"ce": ce, "acc": acc},
            "test": {"ce": ce + 0.1, "acc": acc - 0.05},
        }

    return {
        "final": scores(len(val_acc)),
        "best": scores(val_acc.index(max(val_acc)) + 1),
        "n_parameters": 37655,
        "seconds": 6.5,
        "diverged": False,
        "diverged_epoch": None,
        "settings": {"model": "mlp", "model.hidden": [16, 32], "trainer.max_epochs": len(val_acc)},
        "data": {"name": "synthetic", "train": 70, "val": 30, "test": 20, "fingerprint": "f" * 64},
    }


@pytest.fixture
def write_sweep(write_run, tmp_path) -> Callable[..., Path]:
    """Write a sweep; each run is a dictionary of settings and the best validation accuracy."""

    def write(name: str, *runs: tuple[dict[str, object], float]) -> Path:
        for number, (settings, acc) in enumerate(runs):
            overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
            told = {"model": "mlp", "model.hidden": [16, 32], "trainer.max_epochs": 3, **settings}
            curve = (acc / 2, acc, acc - 0.05)
            write_run(f"{name}/{number}_run", curve, overrides=overrides, settings=told)
        (tmp_path / name / "multirun.yaml").touch()
        return tmp_path / name

    return write


@pytest.fixture
def write_classification(tmp_path) -> Callable[..., Path]:
    """Write the folder of `python -m gmm.classify` with errors for two numbers of components."""

    def write(name: str, n_test: int = 20, **changes: object) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "classify.log").touch()
        (folder / "error.csv").write_text(
            "n_components,train,val,test\n7,0.3,0.4,0.5\n14,0.2,0.5,0.6\n"
        )
        summary = {
            "classes": ["anger", "happy"],
            "faces": {"train": 70, "val": 30, "test": n_test},
            "best": {"n_components": 7, "n_parameters": 99, "train": 0.3, "val": 0.4, "test": 0.5},
            "calibration": {"temperature": 50.0, "test_as_fitted": {"ece": 0.4, "nll": 12.5}},
            "seconds": 3.0,
            "settings": {"mixture.covariance_type": "diag"},
            "features": {"name": "pixels"},
            "data": {
                "name": "synthetic",
                "train": 70,
                "val": 30,
                "test": 20,
                "fingerprint": "f" * 64,
            },
        }
        (folder / "summary.json").write_text(json.dumps(summary | changes))
        return folder

    return write


@pytest.fixture
def write_clustering(tmp_path) -> Callable[..., Path]:
    """Write the folder of `python -m gmm.cluster` with two starts, one of two restarts."""

    def write(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "cluster.log").touch()
        rows = ["random,1,1,-90", "random,1,2,-50", "random,2,1,-95", "random,2,2,-40"]
        rows += ["kmeans,1,1,-60", "kmeans,1,2,-30"]
        header = "start,restart,iteration,log_likelihood"
        (folder / "log_likelihood.csv").write_text("\n".join([header, *rows]) + "\n")
        summary = {
            "log_likelihood": {"kmeans": {"iterations": 2, "within_0.1_percent_at": 2}},
            "model": {
                "start": "kmeans",
                "weights": [0.5, 0.3, 0.2],
                "log_likelihood": {"train": -25.0, "val": -10.0, "test": -9.0},
                "bic": 1234.0,
            },
            "clusters": {"purity": 0.4, "largest_class": 0.3, "adjusted_rand": 0.01},
            "settings": {"mixture.covariance_type": "diag"},
            "features": {"name": "pixels"},
            "seconds": 2.0,
        }
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return write


@pytest.fixture
def write_evaluation() -> Callable[[Path], Path]:
    """Write the evaluation of a run on its test faces, with pictures of a few pixels."""
    from PIL import Image

    def write(run: Path) -> Path:
        folder = run / "evaluation" / "test"
        folder.mkdir(parents=True)
        part = {"n": 4, "acc": 0.25, "acc_interval": [0.05, 0.7]}
        figures = {"ece": 0.111, "nll": 0.9, "brier": 0.5}
        facts = {
            "epoch": 2, "split": "test", "n": 20, "ce": 0.9, "acc": 0.45, "threshold": 0.2857,
            "acc_interval": [0.26, 0.66], "uncertain": part, "certain": part | {"acc": 0.5},
            "aurc": 0.3, "calibration": figures, "temperature": 1.5, "calibrated": figures,
        }  # fmt: skip
        (folder / "evaluation.json").write_text(json.dumps(facts))
        (folder / "risk_coverage.csv").write_text("coverage,risk\n0.5,0.1\n1.0,0.55\n")
        names = ("uncertain", "mistakes", "confusion", "reliability", "first_layer")
        for name in (*names, "saliency_mistakes", "saliency_typical"):
            Image.new("L", (6, 4), 99).save(folder / f"{name}.png")
        return folder

    return write
