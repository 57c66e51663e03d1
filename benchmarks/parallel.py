"""Four runs at once by joblib against the same four one after another, as whole commands.

`python -m benchmarks.parallel` prints seconds from the start of each command to its end, with the
start of its processes, for the MLP and the CNN on the synthetic faces.
"""

import functools
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.machine import seconds
from benchmarks.results import in_turns, parser, publish
from fer_lightning.shell.configuration import project_root

EPOCHS = {"mlp": 300, "cnn": 20}
JOBS = ("seed=0,1,2,3", "image_every_n_epochs=0")
WAYS = {"one after another, s": (), "joblib, s": ("hydra/launcher=joblib",)}


def sweep_seconds(settings: Sequence[str]) -> list[float]:
    """Return the seconds of a sweep of four runs, as a list of one number."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "-m", *JOBS, *settings, f"hydra.sweep.dir={folder}"]
        run = functools.partial(
            subprocess.run, command, cwd=project_root(), capture_output=True, check=True
        )
        return [seconds(run)]


def main() -> None:
    """Time the sweeps, print the table and write it as JSON."""
    args = parser("parallel", __doc__, rounds=2).parse_args()
    rows = []
    for model, epochs in EPOCHS.items():
        given = (f"model={model}", f"trainer.max_epochs={2 if args.quick else epochs}")
        ways = {
            name: functools.partial(sweep_seconds, [*given, *launcher])
            for name, launcher in WAYS.items()
        }
        took = in_turns(ways, args.rounds)
        one_by_one, at_once = took.values()
        rows.append({"network": model, "runs": 4, **took, "share": at_once / one_by_one})
    publish(args.json, rows)


if __name__ == "__main__":
    main()
