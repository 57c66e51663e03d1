"""What `python train.py` does before its first step, and who takes the seconds.

Fresh processes import the libraries one after the other, each when those above it are there, and
take a step. `python -m benchmarks.startup` prints the medians of the seconds that each part adds.
"""

import itertools
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.results import Row, parser, publish
from fer_lightning.shell.configuration import project_root

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
    "torchmetrics, which imports SciPy and matplotlib": "import torchmetrics",
    "Lightning, which imports PyTorch's compiler": "import lightning",
    "this project, which imports TensorBoard": "from fer_lightning.training import Run",
    "network, Trainer, and the faces from the cache": """
from pathlib import Path
import sys
run = Run(config, Path(sys.argv[1]), [])
run.begin()
""",
    "the first step": """
batch = next(iter(run.datamodule.train_dataloader()))
images, labels = next(iter(batch))
optimizer = run.model.configure_optimizers()
torch.nn.functional.cross_entropy(run.model(images), labels).backward()
optimizer.step()
""",
}
TIMED = "\n".join(f"{code}\nprint(time.time())" for code in PARTS.values())


def parts() -> list[float]:
    """Return the seconds that each part takes in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TIMED, folder]
        began = time.time()
        done = subprocess.run(
            command, cwd=project_root(), capture_output=True, text=True, check=True
        )
    times = [began, *map(float, done.stdout.split())]
    return [end - start for start, end in itertools.pairwise(times)]


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
    """Time the parts, print the table and write it as JSON."""
    args = parser("startup", __doc__, rounds=7).parse_args()
    n = 1 if args.quick else args.rounds
    took = [statistics.median(each) for each in zip(*(parts() for _ in range(n)), strict=True)]
    told = statistics.median(mistake() for _ in range(n))
    rows: list[Row] = [
        *({"what": name, "seconds": s} for name, s in zip(PARTS, took, strict=True)),
        {"what": "all of it", "seconds": sum(took)},
        {"what": "until a wrong setting is told", "seconds": told},
    ]
    publish(args.json, rows)


if __name__ == "__main__":
    main()
