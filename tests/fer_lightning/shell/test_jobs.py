"""Sweeps of a job that takes no time."""

import json
import re
import subprocess
import sys

import pytest

COMMAND = """
import json
from fer_lightning.sweeps import rank
from fer_lightning.shell import command

def job(config, folder, overrides):
    if config.seed == 2:
        raise KeyboardInterrupt
    if config.seed == 3:
        raise RuntimeError("a fault")
    (folder / "summary.json").write_text({summary!r})

command("train", job, end_sweep=rank)
"""


@pytest.fixture
def sweep(tmp_path):
    """Run a sweep with overrides."""
    figures = {"epoch": 1} | {split: {"ce": 1.5, "acc": 0.5} for split in ("train", "val")}
    summary = {"best": figures, "final": figures, "epochs": 1, "seconds": 2.0, "diverged": False}
    code = COMMAND.format(summary=json.dumps(summary))

    def run(*overrides):
        command = [sys.executable, "-c", code, "-m", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
        return subprocess.run([*command, *overrides], capture_output=True, text=True, timeout=60)

    return run


def test_every_job_is_told_with_its_number_and_what_varies(sweep):
    done = sweep("model=glob([cnn,mlp])", "seed=range(0,2)", "threads=1", "optim.lr=${study.lr}")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "run 1 of 4: model=cnn seed=0",
        "run 2 of 4: model=cnn seed=1",
        "run 3 of 4: model=mlp seed=0",
        "run 4 of 4: model=mlp seed=1",
    ]


def test_an_interrupted_sweep_ends_with_the_ranking_of_what_it_has(sweep, tmp_path):
    done = sweep("seed=1,2,0")
    assert done.returncode != 0
    rows = [re.split(r" +", line) for line in done.stdout.splitlines()[2:]]
    assert [(row[1], row[-1]) for row in rows[1:3]] == [("1", "done"), ("2", "unfinished")]
    assert (tmp_path / "sweep" / "summary.csv").exists()
    assert "run 3" not in done.stderr


def test_a_fault_is_told_once_with_its_traceback_and_the_other_jobs_run(sweep):
    done = sweep("seed=3,1")
    assert done.returncode == 1
    assert done.stderr.count("RuntimeError: a fault") == 1
    assert done.stderr.index("RuntimeError: a fault") < done.stderr.index("run 2 of 2: seed=1")
    assert re.search(r"^failed: RuntimeError; .*/1_seed-3$", done.stderr, re.MULTILINE)
    assert re.search(r"^2 +1 .* done$", done.stdout, re.MULTILINE)
