"""What `python train.py` does before its first step, and who takes the seconds.

Commands are timed in fresh processes until the first epoch begins: a run by the fused loop, a sweep
whose runs are trained together, and a run by Lightning's Trainer. Then others import the libraries
one after the other, each when those above it are there, and make what a run needs: first what every
run does, then what one by Lightning does beside that. `python -m benchmarks.startup` prints the
medians of the seconds that each takes or adds.
"""

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.results import Row, parser, publish
from fer_lightning.shell.configuration import project_root

# What is told to `python train.py`, beside the folder.
COMMANDS = {
    "a run by the fused loop": ["engine=fused"],
    "a sweep of two runs that are trained together": ["-m", "seed=0,1", "hydra/launcher=fused"],
    "a run by Lightning": ["engine=lightning"],
}
# Ends a command where its first epoch begins, of which all engines tell the same object.
UNTIL_THE_FIRST_EPOCH = """
import os, time
from fer_lightning.train import cli
from fer_lightning.training.callbacks.epoch_log import EpochLog
def begins(*_):
    print(time.time(), flush=True)
    os._exit(0)
EpochLog.on_train_epoch_start = begins
cli()
"""
# Owner and code; what is printed after each part is the time.
PARTS = {
    "Python": "import time",
    "PyTorch": "import torch",
    "Hydra, and the settings checked": """
from hydra import compose, initialize_config_dir
from fer_lightning.shell.configuration import CONF, register_resolvers
from fer_lightning.training import check_settings
register_resolvers()
with initialize_config_dir(str(CONF), version_base="1.3"):
    config = compose("train", ["trainer.max_epochs=1", "trainer.accelerator=cpu"])
check_settings(config.copy())
""",
    "this project, which imports TensorBoard": """
from fer_lightning.fused import members, train
from fer_lightning.training import Run, import_torchmetrics
""",
    "network, and the faces from the cache": """
from pathlib import Path
import sys
run = Run(config, Path(sys.argv[1]), [])
run.begin()
""",
    "the fused loop's own copy of both": """
from fer_lightning.fused.engine import FusedTraining
FusedTraining(members([run]), run.datamodule.batch_size)
""",
    "for Lightning: torchmetrics, without SciPy and matplotlib": "import_torchmetrics(config)",
    "for Lightning: itself, which imports PyTorch's compiler": "import lightning",
    "for Lightning: its Trainer, and the first step": """
from fer_lightning.training import Fit
fit = Fit(run)
images, labels = next(iter(fit.datamodule.train_dataloader()))
optimizer = fit.model.configure_optimizers()
torch.nn.functional.cross_entropy(fit.model(images), labels).backward()
optimizer.step()
""",
}
TIMED = "\n".join(f"{code}\nprint(time.time())" for code in PARTS.values())


def parts() -> list[float]:
    """Return the seconds that each part takes in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        times = _printed("-c", TIMED, folder)
    return [end - start for start, end in itertools.pairwise([began, *times])]


def first_epoch(words: list[str]) -> float:
    """Return the seconds until a command begins with its first epoch."""
    given = ["trainer.accelerator=cpu", "trainer.max_epochs=1", *words]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "run")
        folders = [f"hydra.{kind}.dir={place}" for kind in ("run", "sweep")]
        began = time.time()
        (begins,) = _printed("-c", UNTIL_THE_FIRST_EPOCH, *given, *folders)
    return begins - began


def _printed(*words: str) -> list[float]:
    """Return the numbers that Python prints in a fresh process."""
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def mistake() -> float:
    """Return the seconds until `python train.py` reports a wrong setting."""
    began = time.time()
    command = [sys.executable, "train.py", "optim.lr=-1"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*command, f"hydra.run.dir={folder}"], cwd=project_root(), capture_output=True
        )
    return time.time() - began


def main() -> None:
    """Time commands and parts, print the table and write it as JSON."""
    args = parser("startup", __doc__, rounds=7).parse_args()
    n = 1 if args.quick else args.rounds
    parts()  # writes the cache of the faces
    firsts: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(n):
        for name, words in COMMANDS.items():
            firsts[name].append(first_epoch(words))
    took = [statistics.median(each) for each in zip(*(parts() for _ in range(n)), strict=True)]
    told = statistics.median(mistake() for _ in range(n))
    rows: list[Row] = [
        *({"what": name, "seconds": statistics.median(s)} for name, s in firsts.items()),
        {"what": "until a wrong setting is told", "seconds": told},
        *({"what": name, "seconds": s} for name, s in zip(PARTS, took, strict=True)),
    ]
    publish(args.json, rows)


if __name__ == "__main__":
    main()
