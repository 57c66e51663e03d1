"""Sweeps whose jobs run in other processes, and the shipped settings of their launchers."""

import csv
import importlib.util
import json
import os

import pytest
from hydra import compose, initialize_config_dir

from fer_lightning.shell import jobs as workers
from fer_lightning.shell.configuration import CONF, register_resolvers
from tests.fer_lightning.sweeps.ray_cluster import TWO_WORKERS, needs_ray, ray_folder as ray_folder

needs_submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="needs the extra `slurm`"
)
needs_joblib = pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None,
    reason="needs the extra `parallel`",
)


@pytest.mark.parametrize(
    ("launcher", "settings"),
    [
        pytest.param("submitit_local", [], marks=needs_submitit),
        pytest.param("fused_local", [], marks=needs_submitit),
        pytest.param("joblib", ["hydra.launcher.n_jobs=2"], marks=needs_joblib),
        pytest.param("ray", [TWO_WORKERS, "hydra.sweeper.max_batch_size=3"], marks=needs_ray),
        pytest.param("fused_ray", [TWO_WORKERS, "hydra.launcher.num_cpus=2"], marks=needs_ray),
    ],
)
def test_a_sweep_of_four_jobs_is_ranked_and_tells_of_those_that_fail(
    shell, csv_path, tmp_path, ray_folder, launcher, settings
):
    folder = tmp_path / "sweep"
    done = shell(
        *("train.py", "-m", f"hydra/launcher={launcher}", *settings),
        *("data=fer2013", f"data.path={csv_path}", f"data.cache_dir={tmp_path / 'cache'}"),
        *("optim.lr=0.01,-1", "seed=0,1", "trainer.max_epochs=1", "image_every_n_epochs=0"),
        *("trainer.accelerator=cpu", f"hydra.sweep.dir={folder}"),
        seconds=300,
    )
    assert done.returncode == 1, done.stderr
    assert f"failed: 2 of the runs in {folder}" in done.stderr
    with (folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done", "done", "failed", "failed"]
    assert {(row["optim.lr"], row["seed"]) for row in rows[:2]} == {("0.01", "0"), ("0.01", "1")}
    assert done.stdout.count("failed") == 2
    for row in rows[:2]:
        run = folder / row["run"]
        assert json.loads((run / "summary.json").read_text())["epochs"] == 1
        assert "best by val acc" in (run / "train.log").read_text()
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1


@pytest.mark.parametrize("name", sorted(p.stem for p in (CONF / "hydra/launcher").glob("*.yaml")))
def test_every_launcher_composes_with_its_settings(name):
    register_resolvers()
    slurm = {"submitit_slurm": "", "fused_slurm": "slurm_"}
    given = ["timeout_min=30", "cpus_per_task=2"] if name in slurm else []
    if name in slurm:
        given += [f"{slurm[name]}{key}" for key in ("partition=gpu", "gpus_per_task=2")]
        given += [f"{slurm[name]}array_parallelism=8"]
    overrides = [f"hydra/launcher={name}", *(f"hydra.launcher.{key}" for key in given)]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=overrides, return_hydra_config=True)
    launcher = config.hydra.launcher
    assert {f"{key}={launcher[key]}" for key in (g.split("=")[0] for g in given)} == set(given)


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"SUBMITIT_EXECUTOR": "local"}, "2"),
        ({"SUBMITIT_EXECUTOR": "slurm", "SLURM_CPUS_PER_TASK": "6"}, "6"),
        ({"SUBMITIT_EXECUTOR": "slurm"}, None),
        ({"SUBMITIT_EXECUTOR": "local", "OMP_NUM_THREADS": "7"}, "7"),
        ({}, None),
    ],
)
def test_jobs_of_submitit_share_the_cores(monkeypatch, environment, threads):
    for name in ("SUBMITIT_EXECUTOR", "SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    # whose threads are those of this process
    monkeypatch.delitem(workers.sys.modules, "torch", raising=False)
    workers.share_cores(4)
    assert os.environ.get("OMP_NUM_THREADS") == threads


def test_fused_training_is_for_networks(shell, tmp_path):
    done = shell(
        *("gmm.cluster", "-m", "hydra/launcher=fused", "seed=0,1"),
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    )
    assert done.returncode == 1
    told = "hydra/launcher must be one for any job, as fused training is for networks, got 'fused'"
    assert told in done.stderr
    assert "Traceback" not in done.stderr
