"""A network of a user's file, from training to report."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

NETWORK = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, width=4, activation="relu"):
        last = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]()
        first = nn.Conv2d(1, width, 5, stride=4)
        norm, line = nn.BatchNorm2d(width), nn.Linear(width * 11 * 11, 7)
        super().__init__(first, norm, last, nn.Flatten(), line)
"""


@pytest.fixture
def command(tmp_path):
    (tmp_path / "mynet.py").write_text(NETWORK)

    def begin(*words):
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )

    def run(*words, status=0):
        process = begin(*words)
        out, err = process.communicate(timeout=120)
        assert process.returncode == status, err
        return out, err

    run.begin = begin
    return run


def test_it_is_trained_resumed_evaluated_and_reported(command, csv_path, tmp_path):
    folder = tmp_path / "runs" / "mine"
    words = ["fer_lightning.train", "model._target_=mynet.Net", "model.width=3"]
    words += ["model.activation=tanh", "optim._target_=torch.optim.NAdam", "optim.lr=0.003"]
    words += ["data=fer2013", f"data.path={csv_path}", "data.cache_dir=null", "threads=1"]
    words += [f"hydra.run.dir={folder}", "checkpoint_every_seconds=0", "image_every_n_epochs=0"]
    training = command.begin(*words, "trainer.max_epochs=100000")
    deadline = time.monotonic() + 60
    while not (folder / "checkpoints" / "last-1.ckpt").exists():
        assert training.poll() is None, training.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    training.send_signal(signal.SIGINT)
    training.communicate(timeout=60)
    assert training.returncode == 130
    config = folder / ".hydra" / "config.yaml"
    text = config.read_text()
    assert "momentum" not in text.split("optim:")[1].split("schedule")[0]
    stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    done = stored["loops"]["fit_loop"]["epoch_progress"]["total"]["processed"]
    config.write_text(text.replace("max_epochs: 100000", f"max_epochs: {done + 3}"))
    command("fer_lightning.train", f"resume={folder}")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["epochs"] == done + 3
    told = {"model": "net", "model.width": 3, "optim": "torch.optim.NAdam", "optim.lr": 0.003}
    assert told.items() <= summary["settings"].items()
    rows = (folder / "metrics.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, done + 4))
    command("fer_lightning.evaluate", str(folder), "split=val")
    found = json.loads((folder / "evaluation" / "val" / "evaluation.json").read_text())
    assert found["split"] == "val"
    command("fer_lightning.report", str(tmp_path / "runs"))
    assert "torch.optim.NAdam" in (tmp_path / "runs" / "report.html").read_text()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("model._target_=nowhere.Net", "model._target_ must be a class that Python finds"),
        ("optim._target_=torch.optim.Nada", "optim._target_ must be a class that Python finds"),
        ("callbacks.mine=3", "callbacks.mine must be a setting that exists"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(command, csv_path, tmp_path, word, told):
    faces = ("data=fer2013", f"data.path={csv_path}", f"hydra.run.dir={tmp_path / 'run'}")
    _, err = command("fer_lightning.train", word, *faces, status=1)
    assert told in err.splitlines()[-1]
    assert "Traceback" not in err


def test_a_trial_writes_nothing(command, csv_path, tmp_path):
    faces = ("data=fer2013", f"data.path={csv_path}", "data.cache_dir=null")
    place = tmp_path / "nowhere"
    _, err = command("fer_lightning.train", "trainer=debug", *faces, f"hydra.run.dir={place}")
    assert "nothing was written" in err
    assert not list(place.rglob("*"))
    _, err = command("fer_lightning.train", "-m", "trainer=debug", "seed=0,1", status=1)
    assert err.splitlines()[-1] == "trainer.fast_dev_run must be of one run, got -m"
