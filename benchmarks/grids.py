"""The study's two grids end to end under the fused launcher, with few epochs for each run.

`python -m benchmarks.sweep --grids` starts `mlp_grid` and `cnn_grid`, 75 models in 5 folds each, as
a user would, and says what they cost in full: seconds of the last epoch at each batch size, which
every run tells in its `metrics.csv`, times the study's epochs.
"""

import csv
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import seconds
from benchmarks.results import Row
from fer_lightning.shell.configuration import project_root

STUDY_EPOCHS = {"mlp": 1000, "cnn": 30}
EPOCHS = 2  # the first, which also warms up, does not count


def grid_rows(models: Sequence[str], quick: bool) -> list[Row]:
    """Run the grids; return a row for each network and batch size, and one for each whole grid."""
    given = ["data.batch_size=500,1000", "data.cv_fold=0", "optim.lr=0.05,0.1"] if quick else []
    return [row for model in models for row in _grid(model, given)]


def _grid(model: str, overrides: Sequence[str]) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", f"experiment={model}_grid", *overrides]
        command += ["hydra/launcher=fused", f"trainer.max_epochs={EPOCHS}"]
        command += ["image_every_n_epochs=0", f"hydra.sweep.dir={folder}"]
        took = seconds(lambda: subprocess.run(command, cwd=project_root(), check=True))
        per_size = _seconds_per_epoch(Path(folder))
    rows: list[Row] = [
        _row(model, str(size), n, None, STUDY_EPOCHS[model] * each)
        for size, (n, each) in sorted(per_size.items())
    ]
    n_runs = sum(n for n, _ in per_size.values())
    full = sum(STUDY_EPOCHS[model] * each for _, each in per_size.values())
    return [*rows, _row(model, "all", n_runs, took, full)]


def _seconds_per_epoch(folder: Path) -> dict[int, tuple[int, float]]:
    """Return, by batch size, the number of runs and the seconds of an epoch of all of them."""
    each = defaultdict(list)
    with (folder / "summary.csv").open() as file:
        for run in csv.DictReader(file):
            with (folder / run["run"] / "metrics.csv").open() as metrics:
                epochs = [float(row["seconds"]) for row in csv.DictReader(metrics)]
            each[int(run["data.batch_size"])].append(epochs[-1])
    return {size: (len(times), sum(times)) for size, times in each.items()}


def _row(model: str, batch: str, n_runs: int, took: float | None, full: float) -> Row:
    return {
        "network": model,
        "batch": batch,
        "runs": n_runs,
        f"{EPOCHS} epochs took, s": took,
        "all epochs cost, h": full / 3600,
    }
