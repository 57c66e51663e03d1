"""The study's two grids: 75 models in 5 folds, at each of its batch sizes."""

import subprocess
import sys
import tempfile
from functools import partial

from benchmarks.faces import ALL, SomeFaces
from benchmarks.gpu.cells import Cell, Part, several
from benchmarks.gpu.together import OPTIMIZERS, epoch_after_epoch, on_device
from benchmarks.grids import STUDY_EPOCHS
from benchmarks.machine import seconds
from benchmarks.networks import NETWORKS
from fer_lightning.data.faces import cross_validated
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.shell.configuration import project_root

FOLDS = 5
# Network, batch size, and the share of the faces that is trained on.
CELLS = [
    ("mlp", 1, 0.25), ("mlp", 10, 1.0), ("mlp", 50, 1.0), ("mlp", 500, 1.0), ("mlp", 1000, 1.0),
    ("cnn", 1, 0.015), ("cnn", 10, 0.15), ("cnn", 50, 1.0), ("cnn", 500, 1.0), ("cnn", 1000, 1.0),
]  # fmt: skip


def measure(part: Part) -> None:
    """Measure an epoch of each batch size, what the study costs by them, and a command."""
    part.measure({"network": "mlp", "batch": "500, 1000"}, partial(_command, part))
    hours: dict[str, list[float]] = {name: [] for name in NETWORKS}
    for name, batch, share in CELLS:
        cell: Cell = {"network": name, "batch": batch}
        figures = part.measure(cell, partial(_epoch, part, name, batch, share))
        if figures:
            hours[name].append(figures["all epochs, h"])
    for name, each in hours.items():
        cell = {"network": name, "batch": "all"}
        if len(each) == 5:
            part.add(cell, {"all epochs, h": sum(each)})


def _epoch(part: Part, name: str, batch: int, share: float) -> Cell:
    """Return the time of an epoch of all 75 models in their folds, scaled to all faces."""
    n_faces = 60 if part.is_toy else int(ALL * share)
    lrs = 1 if part.is_toy else len(OPTIMIZERS)
    faces = SomeFaces(n_faces).read()
    members = []
    for fold in range(FOLDS):
        splits = on_device(cross_validated(faces, FOLDS, fold), part.device)
        for optimizer in OPTIMIZERS[:lrs]:
            network = NETWORKS[name][0]().to(part.device)
            members.append(Member(network, optimizer, splits, seed=0))
    training = FusedTraining(members, batch)
    training.use_graphs = True
    took = several(epoch_after_epoch(training), 1 if batch <= 10 else 3)
    in_full = min(took) * (len(SomeFaces().read().train) / n_faces if not part.is_toy else 1)
    return {
        "models": len(members),
        "faces": n_faces,
        "an epoch of all, s": in_full,
        "all epochs, h": STUDY_EPOCHS[name] * in_full / 3600,
    }


def _command(part: Part) -> Cell:
    """Return the time of a part of the grid as a user starts it, with two epochs for each run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "experiment=mlp_grid", "hydra/launcher=fused"]
        command += ["data.batch_size=500,1000", "trainer.max_epochs=2", "image_every_n_epochs=0"]
        command += [f"hydra.sweep.dir={folder}"]
        if part.is_toy:
            command += ["data.batch_size=1000", "optim.lr=0.1", "data.cv_fold=0,1"]
        run = partial(
            subprocess.run, command, cwd=project_root(), check=True, timeout=part.left / 2
        )
        took = seconds(partial(run, stdout=subprocess.DEVNULL))
        return {"models": 6 if part.is_toy else 150, "two epochs of all, s": took}
