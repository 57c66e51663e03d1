"""The commands as users type them."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from fer_lightning.shell.configuration import CONF, project_root, register_resolvers
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier

OPTIONS = {
    "data": {
        *("synthetic", "tfd", "fer2013", "ferplus", "folder"),
        *("rafdb", "affectnet", "jaffe", "kdef", "ckplus"),
    },
    "model": {"mlp", "cnn", "resnet", "vgg"},
    "optim": {"sgd", "adamw", "muon"},
    "augment": {"none", "standard", "strong"},
    "schedule": {"constant", "cosine", "one_cycle", "plateau", "step"},
    "callbacks": {"default", "none", "early_stopping", "ema", "swa", "lr_monitor"},
    "logger": {"tensorboard", "csv", "wandb", "mlflow", "none"},
    "trainer": {"default", "gpu", "ddp", "debug", "overfit", "profile"},
    "experiment": {path.stem for path in (CONF / "experiment").glob("*.yaml")},
}


def test_help_shows_groups_options_and_examples(shell):
    shown = shell("train.py", "--help", new=True)
    assert shown.returncode == 0
    for group, options in OPTIONS.items():
        assert options == {path.stem for path in (CONF / group).glob("*.yaml")}
        lines = re.search(rf"^{group}: (.*(?:\n  .*)*)$", shown.stdout, re.MULTILINE)
        assert set(re.split(r",\s+", lines[1])) == options
    assert len(re.findall(r"^ *python train\.py", shown.stdout, re.MULTILINE)) == 11


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["optim.lrr=1"], "optim.lrr must be a setting that exists, got an unknown key; "),
        (
            ["optim=adamw", "optim.momentum=0.5"],
            "optim.momentum must be a setting that exists, got an unknown key; it is one of",
        ),
        (["optim.lr=-1"], "optim.lr must be a number above 0, got -1"),
        (["data.batch_size=0"], "data.batch_size must be an integer of at least 1, got 0"),
        (
            ["model=cnn", "model.filters=[]"],
            "model.filters must be a list of at least one positive integer, got []",
        ),
        (["data=tfd", "data.fold=9"], "data.fold must be an integer from 0 to 4, got 9"),
        (["data=tfd"], "data.path must be given: toronto_face.npz or TFD_48x48.mat, got None"),
        (["data.seed=-1"], "data.seed must be an integer of at least 0, got -1"),
        (["data.image_size=4"], "data.image_size must be an integer from 8 to 1024, got 4"),
        (
            ["data=rafdb", "data.path=/", "data.classes={1:joy}"],
            "data.classes must map each name to one of anger, disgust, fear, happy, sad, ",
        ),
        (
            ["data=folder", "data.path=/", r"data.label_pattern=\.(AN|DI)(\d)"],
            "data.label_pattern must be a regular expression with one group, got ",
        ),
        (["model=unet"], "model must be one of cnn, mlp, resnet, vgg, got 'unet'"),
        (["trainer.max_epochs=0"], "trainer.max_epochs must be an integer of at least 1, got 0"),
        (["seed=x"], "seed must be an integer from 0 to 4294967295, got 'x'"),
        (["+optim.foo=1"], "optim.foo must be a setting that exists, got an unknown key"),
        (["trainer.accelerator=abacus"], "trainer: You selected an invalid accelerator name"),
        (["data=fer2013", "data.path=gone.zip"], "no such file or folder: gone.zip"),
        (
            ["data=fer2013", "data.path=~/gone.zip"],
            f"no such file or folder: {Path.home()}/gone.zip",
        ),
        (["data.cv_folds=5"], "data.cv_fold must be an integer from 0 to 4, got None"),
        (["resume=gone"], "resume must be the folder of a run or a sweep, got 'gone'"),
        (["optim.lr=0.1,0.2"], "optim.lr=0.1,0.2 has several values; give -m too, for a sweep"),
        (
            ["max_epochs=3"],
            "max_epochs must be a setting that exists, got an unknown key; did you mean trainer.",
        ),
        (["hydra/launcher=fussed", "-m", "seed=0,1"], "hydra/launcher must be one of "),
        pytest.param(
            ["trainer.accelerator=gpu"],
            "trainer.accelerator must be one that PyTorch finds on this machine, such as cpu, got",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="it is there"),
        ),
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
    assert done.stderr.startswith(f"{path}: emotion in row 1 must be one of 0..6, anger, ")
    assert done.stderr.endswith(
        "type 'data.classes={9:CLASS}' with one of these or leave_out for each CLASS\n"
    )
    assert done.stderr.count("\n") == 1
    assert {path.name for path in run.iterdir()} == {".hydra", "train.log"}
    assert not cache.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_disk_that_is_full_before_a_run_begins_is_one_line(shell, tmp_path):
    settings = tmp_path / "run" / ".hydra"
    settings.mkdir(parents=True)
    (settings / "config.yaml").symlink_to("/dev/full")
    done = shell("train.py", f"hydra.run.dir={settings.parent}")
    assert done.returncode == 1
    assert done.stderr == "the disk is full; free some space and start again\n"


def test_an_unexpected_fault_keeps_its_traceback(shell, tmp_path):
    done = shell("train.py", "optim._target_=builtins.list", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_a_sweep_trains_every_combination_from_any_folder(shell, tmp_path, csv_path):
    sweep = tmp_path / "sweep"
    settings = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    settings += ["trainer.max_epochs=1", "optim.lr=0.01,0.1", "seed=1,2"]
    done = shell("train.py", "-m", *settings, f"hydra.sweep.dir={sweep}", new=True)
    assert done.returncode == 0, done.stderr
    summaries = [json.loads(path.read_text()) for path in sweep.glob("*/summary.json")]
    assert {summary["seed"] for summary in summaries} == {1, 2}
    assert len(summaries) == 4
    begun = re.findall(r"^run (\d) of 4: optim.lr=([\d.]+) seed=(\d)$", done.stderr, re.MULTILINE)
    assert begun == [("1", "0.01", "1"), ("2", "0.01", "2"), ("3", "0.1", "1"), ("4", "0.1", "2")]
    rows = [line.split() for line in done.stdout.splitlines()]
    assert {tuple(row[:3]) for row in rows if row[-1:] == ["done"]} == set(begun)
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_sweep_goes_on_after_jobs_that_fail_and_says_so_at_once_and_at_its_end(
    shell, tmp_path, csv_path
):
    sweep = tmp_path / "sweep"
    settings = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null", "threads=1"]
    settings += ["experiment=mlp_momentum", "trainer.max_epochs=1", "optim.momentum=2,0.5"]
    settings += ["optim._target_=builtins.list,fer_lightning.training.SGD"]
    done = shell("train.py", *settings, f"hydra.sweep.dir={sweep}")
    assert done.returncode == 1
    mistakes = re.findall(
        r"^failed: optim.momentum must .* got 2; (.*)$", done.stderr, re.MULTILINE
    )
    faults = re.findall(r"^failed: InstantiationException; (.*)$", done.stderr, re.MULTILINE)
    assert [Path(folder).name[0] for folder in (*faults, *mistakes)] == ["1", "3", "2"]
    for folder in (*faults, *mistakes):
        assert Path(folder).parent == sweep
        assert "failed: " in (Path(folder) / "train.log").read_text()
    assert len(re.findall("^hydra.errors.InstantiationException: ", done.stderr, re.MULTILINE)) == 2
    assert done.stderr.index(mistakes[0]) < done.stderr.index("run 3 of 4")
    assert done.stderr.endswith(f"failed: 3 of the runs in {sweep}\n")
    with (sweep / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done", "failed", "failed", "failed"]
    assert rows[0]["run"].startswith("4_")
    assert [line.split()[-1] for line in done.stdout.splitlines()[-4:]] == ["done"] + 3 * ["failed"]


def test_experiments_that_sweep_are_not_swept_over(shell, tmp_path, csv_path):
    settings = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    settings += ["experiment=mlp_momentum,mlp", "trainer.max_epochs=1"]
    done = shell("train.py", "-m", *settings, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert done.returncode == 1
    assert "failed: experiment must be given alone where it sweeps optim.momentum;" in done.stderr
    assert re.search(r"^2 +mlp .*done$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (
            ["experiment=mlp_momentum", "optim.momentum=0.5", "data.path=/a b/c"],
            "optim.momentum-0.5",
        ),
        (["model.hidden=[2,4]", "seed=-1"], "model.hidden-2-4_seed--1"),
        (["data.subject_pattern='(S\\d+)_$'", "+x={a:1}"], None),
        (["experiment=cnn", "+trainer.precision=16-mixed"], None),
        (["data.leave_out=[é, 'x y', \"z\"]", "optim.lr=1e-05"], None),
    ],
)
def test_a_run_of_a_sweep_has_a_name_that_can_be_given_back(overrides, name):
    register_resolvers()
    hydra = {
        "overrides": {"task": overrides},
        "job": {"num": 2},
        "sweep": {"dir": "/a/multirun/2026-01-31_10-11-12_mlp_momentum-2"},
    }
    shipped = OmegaConf.to_container(OmegaConf.load(CONF / "run.yaml"))
    subdir = shipped["hydra"]["sweep"]["subdir"]
    run = OmegaConf.create({"hydra": hydra, "name": subdir}).name
    assert run.startswith("3_")
    if name:
        assert run == f"3_{name}"
    path = f"{hydra['sweep']['dir']}/{run}"
    (parsed,) = OverridesParser.create().parse_overrides([f"data.path={path}"])
    assert parsed.value() == path
    assert shlex.split(path) == [path]


@pytest.mark.parametrize(
    ("overrides", "key", "end"),
    [
        (["experiment=cnn_grid"], "sweep", "cnn_grid"),
        ([], "sweep", "sweep"),
        (["experiment=cnn_matched"], "run", "cnn_matched"),
        ([], "run", "train"),
    ],
)
def test_folders_are_named_after_the_experiment(monkeypatch, overrides, key, end):
    monkeypatch.setattr("fer_lightning.shell.configuration.new_folder", lambda path: path)
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", ["hydra.job.name=train", *overrides], return_hydra_config=True)
    folder = Path(config.hydra[key].dir)
    assert folder.parent == project_root() / "multirun"
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d_{end}", folder.name)


def test_runs_that_start_together_have_folders_of_their_own(monkeypatch, tmp_path):
    from fer_lightning.files.writing import new_folder

    names = []
    for _ in range(3):  # each call stands for a process of its own
        new_folder.cache_clear()
        names.append(new_folder(str(tmp_path / "run")))
    assert names == [str(tmp_path / name) for name in ("run", "run-2", "run-3")]
    assert new_folder(str(tmp_path / "run")) == names[-1]


@pytest.mark.parametrize(
    ("settings", "signum", "status"),
    [
        ([], signal.SIGINT, 130),
        (["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"], signal.SIGINT, 130),
        (
            # measured beside other tests, they might not be trained together
            ["seed=0,1", "hydra/launcher=fused", "hydra.launcher.measure=false", "compile=false"],
            signal.SIGTERM,
            143,
        ),
    ],
)
def test_a_signal_ends_a_run_or_a_sweep_with_a_line_that_says_how_it_goes_on(
    shell, tmp_path, csv_path, settings, signum, status
):
    folder = tmp_path / "it is here"
    given = ["data=fer2013", "threads=1", f"data.path={csv_path}", "data.cache_dir=null"]
    given += ["trainer.max_epochs=1000000", *settings]
    is_sweep = "seed=0,1" in settings
    given += [f"hydra.{'sweep' if is_sweep else 'run'}.dir='{folder}'"]
    given[:0] = ["-m"] if is_sweep else []

    def interrupt(process):
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            if any(path.read_text().count("\n") > 3 for path in folder.glob("**/metrics.csv")):
                break
            time.sleep(0.1)
        os.kill(process, signum)

    done = shell("train.py", *given, new=not settings, seconds=160, during=interrupt)
    messages = done.stderr
    assert done.returncode == status, messages
    assert "Traceback" not in messages
    told = messages.splitlines()[-1].removeprefix("interrupted; go on with: ")
    program, script, *words = shlex.split(told)
    assert (program, script) == ("python", str(project_root() / "train.py"))
    assert words[-1] == f"resume={folder}"
    assert words[:-1] == (given if is_sweep else [])
    checkpoints = list(folder.glob("**/checkpoints"))
    assert len(checkpoints) == (2 if is_sweep else 1)
    for path in checkpoints:
        for name in ("best", "last"):
            ExpressionClassifier.load_from_checkpoint(path / f"{name}.ckpt")


def test_faces_are_counted_and_shown(shell, tmp_path, csv_path):
    settings = ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    done = shell("fer_lightning.data", *settings, f"hydra.run.dir={tmp_path / 'run'}", new=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^happy +2 +1 +1 +4$", done.stderr, re.MULTILINE)
    assert (tmp_path / "run" / "train.png").exists()


def test_a_run_writes_under_multirun_wherever_it_is_started(shell, tmp_path):
    before = set(project_root().glob("multirun/*_train*/train.log"))
    shell("train.py", "optim.lr=-12345")
    new = set(project_root().glob("multirun/*_train*/train.log")) - before
    (mine,) = [log.parent for log in new if "got -12345" in log.read_text()]
    shutil.rmtree(mine)
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("command", ["predict", "export", "demo"])
def test_commands_for_photos_tell_their_settings_and_examples_that_compose(shell, command):
    shown = shell(f"fer_lightning.{command}", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    settings = OmegaConf.load(CONF / f"{command}.yaml")
    own = [key for key in settings if key not in ("defaults", "hydra")]
    assert all(re.search(rf"^ *{key}:", shown.stdout, re.MULTILINE) for key in own)
    assert re.findall(rf"^ *python -m fer_lightning\.{command} ", shown.stdout, re.MULTILINE)
