"""What a sweep that stops early or searches finds, and what it costs, beside a full grid.

Commands as a user types them, under the fused launcher, with warm caches, on drawn faces. Halving:
81 MLPs x 300 epochs in full, from where on the study finds that accuracy is flat, and by
`hydra/sweeper=halving` from ten epochs on, with three seeds. Search: the study's 75 MLPs (learning
rate, momentum, batch size) x 60 epochs in full, and 60 trials by `hydra/sweeper=optuna` with three
seeds of the sampler, the first of them twice. Points are percentage points of the best validation
accuracy below the grid's.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import seconds
from benchmarks.results import Row, parser, publish
from fer_lightning.shell.configuration import project_root

HALVED = (
    *("optim.lr=0.01,0.03,0.1", "optim.momentum=0,0.5,0.9", "model.hidden=[20],[60],[120]"),
    "data.batch_size=50,100,200",
)
GRID = (
    *("optim.lr=0.001,0.05,0.1,0.5,1.0", "optim.momentum=0,0.5,0.9"),
    "data.batch_size=1,10,50,500,1000",
)
SEARCHED = (
    *("optim.lr=tag(log,interval(1e-3,1))", "optim.momentum=interval(0,0.95)"),
    *("data.batch_size=1,10,50,500,1000", "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=5"),
)


class Sweep:
    """A sweep that has run.

    Args:
        words: Its overrides.

    Attributes:
        seconds: What the command took.
        rows: Its ranking, the best first.
    """

    def __init__(self, *words: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "train.py", "-m", *words, "hydra/launcher=fused"]
            command += ["image_every_n_epochs=0", f"hydra.sweep.dir={folder}"]
            self.seconds = seconds(
                lambda: subprocess.run(
                    command, cwd=project_root(), check=True, stdout=subprocess.DEVNULL
                )
            )
            with (Path(folder) / "summary.csv").open(newline="") as file:
                self.rows = list(csv.DictReader(file))

    @property
    def best(self) -> float:
        """Return the best validation accuracy, in percent."""
        return max(100 * float(row["val_acc"]) for row in self.rows if row["val_acc"])

    @property
    def epochs(self) -> int:
        """Return the number of epochs of all runs."""
        return sum(int(row["epochs"]) for row in self.rows)


def halving(seed: int, epochs: int) -> Row:
    """Return the row of a sweep by halving beside its grid."""
    common = [*HALVED, f"seed={seed}", f"trainer.max_epochs={epochs}"]
    own = ("hydra/sweeper=halving", "hydra.sweeper.min_epochs=10")
    return _row("halving", seed, Sweep(*common), Sweep(*common, *own))


def searches(epochs: int, n_trials: int, n_seeds: int) -> list[Row]:
    """Return the rows of searches beside the grid, and say if one is repeated to the digit."""
    common = [f"trainer.max_epochs={epochs}"]
    grid, found, rows = Sweep(*GRID, *common), {}, []
    for name, seed in [*(("TPE", seed) for seed in range(n_seeds)), ("TPE again", 0)]:
        own = [f"hydra.sweeper.n_trials={n_trials}", f"hydra.sweeper.seed={seed}"]
        found[name, seed] = Sweep(*SEARCHED, *common, *own)
        rows.append(_row(name, seed, grid, found[name, seed]))
    first, again = (
        [(row["run"], row["val_acc"]) for row in found[name, 0].rows]
        for name in ("TPE", "TPE again")
    )
    print(f"the same trials and accuracies again: {'yes' if first == again else 'no'}")
    return rows


def _row(name: str, seed: int, grid: Sweep, own: Sweep) -> Row:
    return {
        "sweep": name,
        "seed": seed,
        "runs of the grid": len(grid.rows),
        "runs": len(own.rows),
        "share of epochs": own.epochs / grid.epochs,
        "grid, s": grid.seconds,
        "seconds": own.seconds,
        "share of time": own.seconds / grid.seconds,
        "best of grid, %": grid.best,
        "best, %": own.best,
        "points below": grid.best - own.best,
    }


def main() -> None:
    """Run the sweeps, print the table and write it as JSON."""
    made = parser("search", __doc__ or "", rounds=3)
    made.add_argument("--only", choices=("halving", "search"), help="by default both")
    options = made.parse_args()
    epochs, rows = (9, 4) if options.quick else (300, 60), []
    if options.only != "search":
        rows += [halving(seed, epochs[0]) for seed in range(options.rounds)]
    if options.only != "halving":
        rows += searches(epochs[1], 5 if options.quick else 60, options.rounds)
    publish(options.json, rows)


if __name__ == "__main__":
    main()
