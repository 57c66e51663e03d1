"""The commands as users type them."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fer_lightning.networks import MLP
from fer_lightning.shell import CONF, PROJECT_ROOT

OPTIONS = {
    "data": {"synthetic", "tfd", "fer2013", "folder"},
    "model": {"mlp", "cnn"},
    "optim": {"sgd", "adamw"},
    "trainer": {"default", "gpu"},
}


def test_help_shows_groups_options_and_examples(shell):
    shown = shell("train.py", "--help")
    assert shown.returncode == 0
    for group, options in OPTIONS.items():
        assert options == {path.stem for path in (CONF / group).glob("*.yaml")}
        line = re.search(rf"^{group}: (.*)$", shown.stdout, re.MULTILINE)
        assert set(line[1].split(", ")) == options
    assert len(re.findall(r"^ *python train\.py", shown.stdout, re.MULTILINE)) == 5


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["optim.lrr=1"], "optim.lrr must be a setting that exists, got an unknown key; "),
        (["optim.lr=-1"], "optim.lr must be a number above 0, got -1"),
        (["data.batch_size=0"], "data.batch_size must be an integer of at least 1, got 0"),
        (
            ["model=cnn", "model.filters=[]"],
            "model.filters must be a list of at least one positive integer, got []",
        ),
        (["data=tfd", "data.fold=9"], "data.fold must be an integer from 0 to 4, got 9"),
        (["data=tfd"], "data.path must be given: toronto_face.npz or TFD_48x48.mat, got None"),
        (["data.seed=-1"], "data.seed must be an integer of at least 0, got -1"),
        (["model=resnet"], "model must be one of cnn, mlp, got 'resnet'"),
        (["trainer.max_epochs=0"], "trainer.max_epochs must be an integer of at least 1, got 0"),
        (["seed=x"], "seed must be an integer from 0 to 4294967295, got 'x'"),
        (["+optim.foo=1"], "optim.foo must be a setting that exists, got an unknown key"),
        (["trainer.accelerator=abacus"], "trainer: You selected an invalid accelerator name"),
        (["data=fer2013", "data.path=gone.zip"], "no such file or folder: gone.zip"),
        (
            ["data=fer2013", "data.path=~/gone.zip"],
            f"no such file or folder: {Path.home()}/gone.zip",
        ),
        (["optim.lr=0.1,0.2"], "Ambiguous value for argument 'optim.lr=0.1,0.2'"),
    ],
)
def test_a_mistake_is_one_line(shell, tmp_path, arguments, line):
    done = shell("train.py", *arguments, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    written = {path.name for path in (tmp_path / "run").glob("*")}
    assert written <= {".hydra", "train.log"}


def test_bad_faces_are_one_line_and_leave_nothing_but_the_log(shell, tmp_path, drawn, write_csv):
    drawn.labels[0] = 9
    path = write_csv(drawn)
    run, cache = tmp_path / "run", tmp_path / "cache"
    settings = ["data=fer2013", f"data.path={path}", f"data.cache_dir={cache}"]
    done = shell("train.py", *settings, f"hydra.run.dir={run}")
    assert done.returncode == 1
    assert done.stderr == f"{path}: emotion in row 1 must be 0..6, got '9'\n"
    assert {path.name for path in run.iterdir()} == {".hydra", "train.log"}
    assert not cache.exists()


def test_an_unexpected_fault_keeps_its_traceback(shell, tmp_path):
    done = shell("train.py", "optim._target_=math.floor", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_a_sweep_trains_every_combination_from_any_folder(shell, tmp_path, csv_path):
    sweep = tmp_path / "sweep"
    settings = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    settings += ["trainer.max_epochs=1", "optim.lr=0.01,0.1", "seed=1,2"]
    done = shell("train.py", "-m", *settings, f"hydra.sweep.dir={sweep}")
    assert done.returncode == 0, done.stderr
    summaries = [json.loads(path.read_text()) for path in sweep.glob("*/summary.json")]
    assert {summary["seed"] for summary in summaries} == {1, 2}
    assert len(summaries) == 4
    for folder in sweep.glob("*/"):
        assert re.fullmatch(r"[\w.+-]+", folder.name)
    assert not any((tmp_path / "elsewhere").iterdir())


def test_runs_that_start_together_have_folders_of_their_own(monkeypatch, tmp_path):
    from fer_lightning import shell

    names = []
    for _ in range(3):  # each call stands for a process of its own
        shell.new_folder.cache_clear()
        names.append(shell.new_folder(str(tmp_path / "run")))
    assert names == [str(tmp_path / name) for name in ("run", "run-2", "run-3")]
    assert shell.new_folder(str(tmp_path / "run")) == names[-1]


def test_an_interrupted_run_keeps_its_networks(tmp_path, csv_path):
    run = tmp_path / "run"
    command = [sys.executable, str(PROJECT_ROOT / "train.py"), "data=fer2013"]
    command += [f"data.path={csv_path}", "data.cache_dir=null", "trainer.max_epochs=1000000"]
    process = subprocess.Popen(
        [*command, f"hydra.run.dir={run}"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if (run / "metrics.csv").exists() and (run / "metrics.csv").read_text().count("\n") > 3:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode != 0
    assert f"interrupted; the networks so far are in {run / 'checkpoints'}" in messages
    assert "Traceback" not in messages
    for name in ("best", "last"):
        MLP.load_from_checkpoint(run / "checkpoints" / f"{name}.ckpt")


def test_faces_are_counted_and_shown(shell, tmp_path, csv_path):
    settings = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    done = shell("fer_lightning.data", *settings, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^happy +2 +1 +1 +4$", done.stderr, re.MULTILINE)
    assert (tmp_path / "run" / "train.png").exists()


def test_a_run_writes_under_multirun_wherever_it_is_started(shell, tmp_path):
    before = set(PROJECT_ROOT.glob("multirun/*_train*/train.log"))
    shell("train.py", "optim.lr=-12345")
    new = set(PROJECT_ROOT.glob("multirun/*_train*/train.log")) - before
    (mine,) = [log.parent for log in new if "got -12345" in log.read_text()]
    shutil.rmtree(mine)
    assert not any((tmp_path / "elsewhere").iterdir())
