"""Peak memory and time of a run against the number of faces, of models and of components.

Every case has a process of its own with one thread. A small case runs first, so that libraries are
loaded and warm; what is shown is the peak memory of the whole process and the processor time of the
case itself. `python -m benchmarks.scale` prints a table and draws `docs/scaling.png`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure

import gmm
from benchmarks.machine import peak_kib
from fer_lightning.data import CLASSES, SIZE, Faces, FaceSplits
from fer_lightning.data.splitting import SPLITS
from fer_lightning.fused.engine import FusedTraining, Member
from fer_lightning.fused.single_run import train
from fer_lightning.networks.mlp import MLP
from fer_lightning.plots import BLUE, DPI, INK, VERMILION, plain
from fer_lightning.shell.configuration import CONF, project_root, register_resolvers
from fer_lightning.training.optim.optimizers import SGD

TIMES = (1, 2, 5, 10)
SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}  # those of FER2013
MIXTURE_FACES, MODEL_FACES = 8_000, 4_000


@dataclass(frozen=True)
class Noise:
    """A data set of n faces of random pixels."""

    name: ClassVar[str] = "noise"
    n: int

    def files(self) -> list[Path]:
        """Return an empty list, as nothing is read."""
        return []

    def read(self) -> FaceSplits:
        """Draw the faces at random."""
        return FaceSplits(*(_noise(round(SHARES[split] * self.n)) for split in SPLITS))


def _noise(n: int) -> Faces:
    rng = np.random.default_rng(n)
    pixels = rng.integers(0, 256, (n, SIZE * SIZE), dtype=np.uint8)
    return Faces.from_arrays(pixels, np.arange(n) % len(CLASSES))


def train_on_faces(n: int) -> None:
    """Train the MLP on n faces for two epochs, with all that `python train.py` does."""
    register_resolvers()
    target = "data.source._target_=benchmarks.scale.Noise"
    source = [target, f"+data.source.n={n}", "~data.source.seed"]
    source += ["~data.source.image_size"]
    settings = ["trainer.max_epochs=2", "trainer.accelerator=cpu", "data.cache_dir=null"]
    with (
        tempfile.TemporaryDirectory() as folder,
        initialize_config_dir(str(CONF), version_base="1.3"),
    ):
        config = compose("train", overrides=[*source, *settings, "threads=1"])
        train(config, Path(folder), [])


def train_models(n: int) -> None:
    """Train n MLPs together for two epochs."""
    splits = Noise(MODEL_FACES).read()
    members = [Member(network, SGD(lr=0.01), splits, seed=0) for network in _networks(n)]
    training = FusedTraining(members, batch_size=100)
    for epoch in range(2):
        training.train_epoch(epoch)
        training.validate()


def _networks(n: int) -> list[MLP]:
    return [MLP() for _ in range(n)]


def fit_components(n: int) -> None:
    """Fit a mixture of n components by three iterations of EM."""
    x = torch.rand(MIXTURE_FACES, SIZE * SIZE)
    start = gmm.Mixture(torch.full((n,), 1 / n).log(), x[:n], torch.ones(n, SIZE * SIZE))
    gmm.fit_em(x, start, max_iter=3, tol=0, min_variance=0.01)


@dataclass(frozen=True)
class Case:
    """A quantity whose size is varied.

    Attributes:
        run: Does the work for a size.
        base: The size that is multiplied.
        small: A size to warm up with.
        what: The size in words.
    """

    run: Callable[[int], None]
    base: int
    small: int
    what: str


CASES = {
    "faces": Case(train_on_faces, 35_887, 700, "faces, two epochs of the MLP"),
    "models": Case(train_models, 16, 2, f"MLPs as one, {MODEL_FACES:,} faces"),
    "components": Case(fit_components, 7, 2, f"components, {MIXTURE_FACES:,} faces"),
}


def measured(name: str, size: int) -> dict[str, float]:
    """Return the memory and time of a case, run in its own process with one thread.

    Returns:
        `peak` memory of the process and the part of it that was `added` since the small case, in
        bytes, and the `seconds` of processor time of the case.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", "--case", name, str(size)],
        cwd=project_root(),
        env={**os.environ, "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "1"},
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def tell(name: str, size: int) -> None:
    """Run a case in this process, and print its memory and time as JSON."""
    torch.set_num_threads(1)
    case = CASES[name]
    case.run(case.small)
    before = _peak()
    begin = time.process_time()
    case.run(size)
    seconds = time.process_time() - begin
    print(json.dumps({"peak": _peak(), "added": _peak() - before, "seconds": seconds}))


def _peak() -> int:
    """Return the peak memory of this process so far, in bytes."""
    return 1024 * peak_kib()


def drawing(results: dict[str, list[dict[str, Any]]]) -> Figure:
    """Draw memory and time against size, one panel for each case, with axes that begin at zero."""
    figure = Figure(figsize=(9.6, 3.0), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(results))
    for left, (name, rows) in zip(panels, results.items(), strict=True):
        right = left.twinx()
        plain(left, CASES[name].what, "")
        right.spines[["top", "left"]].set_visible(False)
        sizes = [0, *(row["size"] for row in rows)]
        for axes, key, unit, color in (
            (left, "peak", 2**30, BLUE),
            (right, "seconds", 1, VERMILION),
        ):
            values = [row[key] / unit for row in rows]
            axes.plot(sizes[1:], values, "o-", color=color, markersize=4, clip_on=False)
            axes.set_ylim(0, 1.15 * max(values))
            axes.tick_params(axis="y", colors=color, labelsize=8)
        left.set_xlim(0, sizes[-1])
        left.xaxis.set_major_formatter("{x:,.0f}")
    panels[0].set_ylabel("peak memory, GiB", color=BLUE)
    right.set_ylabel("seconds, one thread", color=VERMILION)
    figure.suptitle("What a run takes", size=11, color=INK, x=0.01, ha="left")
    return figure


def main() -> None:
    """Measure, print and draw all cases, or measure and print one with --case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", nargs=2, metavar=("NAME", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--png", type=Path, default=project_root() / "docs" / "scaling.png")
    args = parser.parse_args()
    if args.case:
        tell(args.case[0], int(args.case[1]))
        return
    print(f"torch {torch.__version__}, one thread\n{'case':12}{'size':>10}{'peak MiB':>10}{'s':>8}")
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in CASES}
    for name, case in CASES.items():
        for times in TIMES:
            size = times * case.base
            row = {"size": size, **measured(name, size)}
            results[name].append(row)
            print(
                f"{name:12}{size:10,}{row['peak'] / 2**20:10,.0f}{row['seconds']:8.2f}", flush=True
            )
    drawing(results).savefig(args.png)
    print(args.png)


if __name__ == "__main__":
    main()
