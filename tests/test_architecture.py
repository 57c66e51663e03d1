"""What docs/architecture.md says can be done."""

import json
import os
import subprocess
import sys

TOY = """
from torch import nn


class Toy(nn.Sequential):
    def __init__(self, width=4):
        pool, first = nn.AvgPool2d(8), nn.Linear(36, width)
        super().__init__(pool, nn.Flatten(), first, nn.Tanh(), nn.Linear(width, 7))
"""
CONFIGURATION = """
# @package _global_
model:
  _target_: toys.network.Toy
  width: 4
threads: 1
study: {lr: 0.1, max_epochs: 3}
"""


def test_a_network_of_ones_own_is_trained_as_the_recipe_says(csv_path, tmp_path):
    package, models = tmp_path / "toys", tmp_path / "conf" / "model"
    package.mkdir()
    models.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "network.py").write_text(TOY)
    (models / "toy.yaml").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "fer_lightning.train", "--config-dir", "conf", "model=toy"]
    command += ["model.width=5", "data=fer2013", f"data.path={csv_path}", "data.cache_dir=null"]
    run = tmp_path / "run"
    done = subprocess.run(
        [*command, f"hydra.run.dir={run}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((run / "summary.json").read_text())
    told = {"model": "toy", "model.width": 5, "optim.lr": 0.1, "trainer.max_epochs": 3}
    assert told.items() <= summary["settings"].items()
    assert summary["n_parameters"] == 36 * 5 + 5 + 5 * 7 + 7
    assert len((run / "metrics.csv").read_text().splitlines()) == 4
    assert (run / "checkpoints" / "best.ckpt").exists()
