"""Searches from the command line, as users start them."""

import csv
import importlib.util
import json
from pathlib import Path

import pytest

from tests.fer_lightning.sweeps.ray_cluster import TWO_WORKERS, needs_ray, ray_folder as ray_folder

optuna = pytest.importorskip("optuna")

needs_joblib = pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None,
    reason="needs the extra `parallel`",
)


@pytest.fixture
def sweep(shell, csv_path, tmp_path):
    """Run a sweep on a few faces, and return the rows of its ranking."""

    def run(*words: str) -> list[dict[str, str]]:
        done = shell(
            *("train.py", "-m", *words, "model.hidden=[8]", "data=fer2013"),
            f"data.path={csv_path}",
            *(f"data.cache_dir={tmp_path / 'cache'}", "image_every_n_epochs=0"),
            *("trainer.accelerator=cpu", f"hydra.sweep.dir={tmp_path / 'sweep'}"),
            seconds=300,
        )
        assert done.returncode == 0, done.stderr
        with (tmp_path / "sweep" / "summary.csv").open() as file:
            return list(csv.DictReader(file))

    return run


def curves(run: Path) -> list[list[float]]:
    rows = (run / "metrics.csv").read_text().splitlines()[1:]
    return [[float(value) for value in row.split(",")[1:5]] for row in rows]


@pytest.mark.parametrize(
    "launcher",
    [
        ["fused"],
        pytest.param(["joblib"], marks=needs_joblib),
        pytest.param(["ray", TWO_WORKERS], marks=needs_ray),
    ],
)
def test_a_search_of_four_trials_is_ranked_as_optuna_ranks_it(
    sweep, tmp_path, ray_folder, launcher
):
    name, *settings = launcher
    rows = sweep(
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2"),
        *(f"hydra/launcher={name}", *settings, "optim.lr=tag(log,interval(1e-3,1))", "seed=0,1"),
        "trainer.max_epochs=2",
    )
    assert len(rows) == 4
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "sweep/optuna.journal"))
    study = optuna.load_study(study_name="sweep", storage=optuna.storages.JournalStorage(backend))
    assert int(rows[0]["run"].split("_")[0]) == study.best_trial.number + 1
    for trial in study.trials:
        (row,) = [r for r in rows if r["run"].startswith(f"{trial.number + 1}_")]
        assert float(row["optim.lr"]) == trial.params["optim.lr"]
        assert int(row["seed"]) == trial.params["seed"]
        summary = json.loads((tmp_path / "sweep" / row["run"] / "summary.json").read_text())
        assert trial.value == summary["best"]["val"]["acc"] == float(row["val_acc"])


def test_what_survives_a_rung_has_the_curves_of_the_grid(sweep, tmp_path):
    grid = ("optim.lr=0.01,0.1,0.3", "optim.momentum=0,0.5", "trainer.max_epochs=8")
    together = ("hydra/launcher=fused", "hydra.launcher.measure=false")
    sweep(*grid, *together)
    (tmp_path / "sweep").rename(tmp_path / "whole")
    halving = ("hydra/sweeper=halving", "hydra.sweeper.min_epochs=2", "hydra.sweeper.eta=2")
    rows = sweep(*grid, *together, *halving)
    assert sorted(row["status"] for row in rows) == [
        "done",
        *["stopped at rung 1"] * 3,
        *["stopped at rung 2"] * 2,
    ]
    for row in rows:
        n = {"done": 8, "stopped at rung 1": 2, "stopped at rung 2": 4}[row["status"]]
        own, whole = (curves(tmp_path / folder / row["run"]) for folder in ("sweep", "whole"))
        assert len(own) == n
        for line, other in zip(own, whole, strict=False):
            assert line == pytest.approx(other, rel=1e-4)
        events = (tmp_path / "sweep" / row["run"]).glob("events*")
        assert (b"stopped at rung" in next(events).read_bytes()) == row["status"].startswith("stop")


@needs_joblib
def test_a_pruner_stops_runs_in_other_processes(sweep, tmp_path):
    rows = sweep(
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2"),
        *("hydra.sweeper.pruner=ThresholdPruner", "hydra.sweeper.pruner_args={lower:1.5}"),
        *("hydra/launcher=joblib", "optim.lr=interval(0.01,0.1)", "trainer.max_epochs=3"),
    )
    assert [row["status"] for row in rows] == ["stopped at epoch 1 by ThresholdPruner"] * 2
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "sweep/optuna.journal"))
    study = optuna.load_study(study_name="sweep", storage=optuna.storages.JournalStorage(backend))
    for trial in study.trials:
        assert trial.state == optuna.trial.TrialState.PRUNED
        assert list(trial.intermediate_values) == [1]
