"""Whole sweeps at once against the same runs one after another, from start to end of the command.

`python -m benchmarks.parallel` prints seconds of commands with warm caches, on the synthetic faces:
four runs by joblib, with the start of its processes, and the 15 MLPs of five learning rates and
three momenta, trained together.
"""

import functools
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.machine import seconds
from benchmarks.results import Row, in_turns, parser, publish
from fer_lightning.shell.configuration import project_root

SEEDS = ("seed=0,1,2,3",)
GRID = ("optim.lr=0.001,0.003,0.01,0.03,0.1", "optim.momentum=0,0.5,0.9")
# Network, number of runs, what varies, epochs, launcher.
SWEEPS = (
    ("mlp", 4, SEEDS, 300, "joblib"),
    ("cnn", 4, SEEDS, 20, "joblib"),
    ("mlp", 15, GRID, 60, "fused"),
    ("mlp", 15, GRID, 300, "fused"),
)


def sweep_seconds(settings: Sequence[str]) -> list[float]:
    """Return the seconds of a sweep, as a list of one number."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "-m", *settings, f"hydra.sweep.dir={folder}"]
        run = functools.partial(
            subprocess.run, command, cwd=project_root(), capture_output=True, check=True
        )
        return [seconds(run)]


def row(
    network: str, n_runs: int, varied: Sequence[str], epochs: int, launcher: str, rounds: int
) -> Row:
    """Return the row of a sweep."""
    given = [f"model={network}", f"trainer.max_epochs={epochs}", *varied]
    given += ["image_every_n_epochs=0"]  # as runs that are trained together have no pictures
    ways = {
        "one after another, s": functools.partial(sweep_seconds, given),
        "at once, s": functools.partial(sweep_seconds, [*given, f"hydra/launcher={launcher}"]),
    }
    sweep_seconds([*varied, "trainer.max_epochs=1", f"hydra/launcher={launcher}"])  # fills caches
    took = in_turns(ways, rounds)
    one_by_one, at_once = took.values()
    facts = {"network": network, "runs": n_runs, "epochs": epochs, "launcher": launcher}
    return {**facts, **took, "times as fast": one_by_one / at_once}


def main() -> None:
    """Time the sweeps, print the table and write it as JSON."""
    made = parser("parallel", __doc__ or "", rounds=2)
    made.add_argument("--launcher", choices=("joblib", "fused"), help="by default both")
    args = made.parse_args()
    rows = []
    for network, n_runs, varied, epochs, launcher in SWEEPS:
        if args.launcher in (None, launcher):
            few = 2 if args.quick else epochs
            rows.append(row(network, n_runs, varied, few, launcher, args.rounds))
    publish(args.json, rows)


if __name__ == "__main__":
    main()
