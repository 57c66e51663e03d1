"""What becomes of the tasks of Ray that are killed or cancelled, and what Ray leaves alone."""

import csv
import json
import os
import shlex
import signal
import time

import pytest
import torch

from fer_lightning.errors import SettingError
from fer_lightning.sweeps import RayLauncher
from tests.fer_lightning.sweeps.ray_cluster import on_ray, ray_folder as ray_folder

SCRIPT = """
import json, os, signal
from fer_lightning.sweeps import rank
from fer_lightning.shell import command

def job(config, folder, overrides):
    import torch
    told = {"threads": torch.get_num_threads(), "folder": os.getcwd()}
    (folder / "told.json").write_text(json.dumps(told))
    if config.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)

command("train", job, end_sweep=rank)
"""


@on_ray
def test_a_job_whose_process_is_killed_has_failed_and_the_others_go_on(
    shell, tmp_path, monkeypatch, ray_folder
):
    home, script, sweep = tmp_path / "home", tmp_path / "script.py", tmp_path / "sweep"
    home.mkdir()
    script.write_text(SCRIPT)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    settings = ["hydra.launcher.init.num_cpus=1", "seed=0,1,2"]
    done = shell(str(script), "-m", "hydra/launcher=ray", *settings, f"hydra.sweep.dir={sweep}")
    assert done.returncode == 1, done.stderr
    assert "failed: run 2: The worker died" in done.stderr
    told = [json.loads(path.read_text()) for path in sweep.glob("*/told.json")]
    assert told == [{"threads": 1, "folder": str(tmp_path / "elsewhere")}] * 3
    assert not (home / ".ray").exists()
    assert not any((tmp_path / "elsewhere").iterdir())


@on_ray
def test_an_interrupted_sweep_saves_the_epoch_begins_no_more_runs_and_goes_on(
    shell, csv_path, tmp_path, ray_folder
):
    sweep, n_epochs = tmp_path / "sweep", 200
    given = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null", "seed=0,1"]
    given += [f"trainer.max_epochs={n_epochs}", "image_every_n_epochs=0", "trainer.accelerator=cpu"]
    given += ["hydra.launcher.init.num_cpus=1", f"hydra.sweep.dir={sweep}"]

    def interrupt(process):
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            if any(path.read_text().count("\n") > 3 for path in sweep.glob("*/metrics.csv")):
                break
            time.sleep(0.1)
        os.kill(process, signal.SIGINT)

    done = shell("train.py", "-m", "hydra/launcher=ray", *given, during=interrupt, seconds=160)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    (begun,) = (path.parent for path in sweep.glob("*/.hydra"))
    n_done = (begun / "metrics.csv").read_text().count("\n") - 1
    stored = torch.load(begun / "checkpoints" / "last.ckpt", weights_only=False)
    assert stored["epoch"] in (n_done - 1, n_done)  # at the end of an epoch, or on its way

    line = next(line for line in done.stderr.splitlines() if line.startswith("interrupted; "))
    _, *words = shlex.split(line.removeprefix("interrupted; go on with: "))
    resumed = shell("train.py", *words[1:], seconds=160)
    assert resumed.returncode == 0, resumed.stderr
    for run in sweep.glob("*_seed-*"):
        with (run / "metrics.csv").open() as file:
            epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
        assert epochs == list(range(1, n_epochs + 1))
    assert len(list(sweep.glob("*/summary.json"))) == 2


def test_ray_that_is_missing_is_told_in_one_line(shell, tmp_path, monkeypatch):
    (tmp_path / "ray.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    settings = ["hydra/launcher=ray", "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    done = shell("train.py", "-m", *settings, new=True)
    assert done.returncode == 1
    assert done.stderr == "hydra/launcher needs another package: pip install -e '.[ray]'\n"


@pytest.mark.parametrize(("option", "resource"), [("num_cpus", "CPU"), ("num_gpus", "GPU")])
def test_a_task_that_could_never_begin_is_told(option, resource):
    told = f"hydra.launcher.{option} must be at most 2, as Ray has no more of them here, got 3"
    with pytest.raises(SettingError, match=told):
        RayLauncher(**{option: 3})._require_enough({resource: 2.0})
    RayLauncher(**{option: 2})._require_enough({resource: 2.0})
