"""Which libraries a command waits for, in processes that import everything themselves."""

import subprocess
import sys

import pytest

from fer_lightning.shell.configuration import project_root

COMMAND = """
import sys
from fer_lightning.train import cli
cli()
print("imported:", *{name.partition(".")[0] for name in sys.modules}, *sys.modules)
"""
HEAVY = {"lightning", "torchmetrics", "scipy", "matplotlib", "torch._dynamo"}
NEEDED = {"scipy"}  # by which numba multiplies matrices


def done(code, *words):
    command = [sys.executable, "-c", code, *words]
    process = subprocess.run(command, cwd=project_root(), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture
def imported(csv_path, tmp_path):
    """Train in a fresh process; returns those of the heavy modules that it has imported."""

    def run(*words):
        given = ["data=fer2013", f"data.path={csv_path}", f"data.cache_dir={tmp_path / 'cache'}"]
        given += ["trainer.accelerator=cpu", "threads=1", "trainer.max_epochs=2"]
        given += ["image_every_n_epochs=0"]
        is_resumed = words[0].startswith("resume=")  # with the settings that it has
        out = done(COMMAND, *([] if is_resumed else given), *words)
        return HEAVY.intersection(out.rpartition("imported:")[2].split())

    return run


SETTINGS = [[], ["optim.momentum=0.9", "schedule=plateau"], ["optim=adamw", "schedule=cosine"]]


@pytest.mark.parametrize("settings", SETTINGS, ids=["plain", "plateau", "adamw"])
def test_a_fused_run_imports_neither_lightning_nor_what_it_does(imported, tmp_path, settings):
    found = imported("engine=fused", f"hydra.run.dir={tmp_path / 'run'}", *settings)
    assert found <= NEEDED
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_fused_sweep_imports_neither_lightning_nor_what_it_does(imported, tmp_path, model):
    sweep = ["-m", "hydra/launcher=fused", "optim.lr=0.01,0.02", "optim.momentum=0.5"]
    found = imported(*sweep, f"model={model}", "engine=fused", f"hydra.sweep.dir={tmp_path}")
    assert found <= NEEDED
    assert len(list(tmp_path.glob("*/summary.json"))) == 2


def test_a_fused_run_that_goes_on_imports_no_lightning(imported, tmp_path):
    run = tmp_path / "run"
    imported("engine=fused", f"hydra.run.dir={run}")
    (run / "summary.json").unlink()
    assert imported(f"resume={run}") <= NEEDED
    assert (run / "summary.json").exists()


def test_a_run_by_lightning_imports_neither_scipy_nor_matplotlib(imported, tmp_path):
    found = imported("engine=lightning", f"hydra.run.dir={tmp_path / 'run'}")
    assert found == {"lightning", "torchmetrics", "torch._dynamo"}


TORCHMETRICS = """
import sys
from omegaconf import OmegaConf
from fer_lightning.training import import_torchmetrics
import_torchmetrics(OmegaConf.create({"callbacks": {"mine": {"_target_": sys.argv[1]}}}))
before = {"scipy", "matplotlib"} & sys.modules.keys()
import scipy.signal, matplotlib.figure, lightning
from torchmetrics import MeanMetric
metric = MeanMetric()
metric.update(1.0)
if sys.argv[1].startswith("mine"):
    metric.plot()
print(len(before))
"""


def test_what_is_left_out_can_be_imported_later():
    assert done(TORCHMETRICS, "lightning.pytorch.callbacks.Timer") == "0\n"


def test_torchmetrics_draws_for_classes_of_the_user():
    done(TORCHMETRICS, "mine.Callback")
