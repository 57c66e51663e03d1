"""Time of many trainings at once against as many one after another, NumPy and joblib.

The models are those of the study's grid at batch size 100: 5 learning rates x 3 momenta, and these
in 5 folds. Milliseconds are those of an epoch of all M models, on the project's side with
validation, logs and checkpoints; a separate run and NumPy's are measured once and count M times.
The share is that of the time which the operations needed take at the rate of this machine's matrix
products. The cost is what the launcher measures: above 1 it does not fuse, and neither does the
table. `--grids` runs `mlp_grid` and `cnn_grid` end to end instead, see `benchmarks.grids`.
"""

import argparse
import functools
import itertools
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks import fused_run, grids, joblib_runs, numpy_backprop, project_run
from benchmarks.faces import ALL, SomeFaces, overrides_of
from benchmarks.flops import epoch_flops
from benchmarks.machine import gemm_rate
from benchmarks.memory import peak_mib
from benchmarks.results import Row, in_turns, parser, publish
from fer_lightning.training.run import ALL_THREADS, Run

RATES, MOMENTA, FOLDS = (0.001, 0.05, 0.1, 0.5, 1.0), (0.0, 0.5, 0.9), 5
GRID = len(RATES) * len(MOMENTA)
EPOCHS = {"mlp": 6, "cnn": 2}
SHAPES = {
    "mlp": ("model.hidden=[64,64]", "model.hidden=[256,256]"),
    "cnn": ("model.filters=[4,8]", "model.filters=[20,40]"),
}


@dataclass(frozen=True)
class Case:
    """A row of the table: M models of one shape on n faces."""

    model: str
    n_models: int
    n_faces: int
    accelerator: str
    shape: str = ""

    @property
    def epochs(self) -> int:
        """Return the number of epochs in a round, of which the first warms up."""
        return 1 + EPOCHS[self.model]

    @property
    def jobs(self) -> list[list[str]]:
        """Return the overrides of the first models of the grid, in folds if the grid has fewer."""
        common = [f"model={self.model}", f"trainer.accelerator={self.accelerator}"]
        common += [f"trainer.max_epochs={self.epochs}", *overrides_of(self.n_faces)]
        common += [self.shape] if self.shape else []
        folds = [[f"data.cv_folds={FOLDS}", f"data.cv_fold={i}"] for i in range(FOLDS)]
        grid = itertools.product(folds if self.n_models > GRID else [[]], RATES, MOMENTA)
        return [
            [*common, *fold, f"optim.lr={lr}", f"optim.momentum={momentum}"]
            for fold, lr, momentum in itertools.islice(grid, self.n_models)
        ]

    @property
    def first_run(self) -> Run:
        """Return the run of the first model with its faces; a fold has fewer than the whole set."""
        return fused_run.run_of(self.jobs[0])

    @property
    def flops(self) -> float:
        """Return the FLOPs that an epoch of all models needs."""
        run = self.first_run
        splits = run.datamodule.splits
        layers = run.model.network.layers
        assert isinstance(layers, nn.Sequential)
        return self.n_models * epoch_flops(layers, len(splits.train), len(splits.val))


def cases(models: Sequence[str], n_faces: int, accelerator: str) -> Iterator[Case]:
    """Yield the rows: M = 1, 15 and 75; fewer and more faces; smaller and larger networks."""
    for model in models:
        for n_models in (1, GRID, GRID * FOLDS):
            yield Case(model, n_models, n_faces, accelerator)
        for n in (n_faces // 4, 4 * n_faces):
            yield Case(model, GRID, n, accelerator)
        for shape in SHAPES[model]:
            yield Case(model, GRID, n_faces, accelerator, shape)


def contenders(case: Case, fuse: bool) -> dict[str, Callable[[], list[float]]]:
    """Return the programs to time by name; each returns seconds of epochs of all models or one."""
    calls: dict[str, Callable[[], list[float]]] = {}
    if fuse:
        calls["fused"] = functools.partial(fused_run.epoch_seconds, case.jobs)
    calls["separate"] = functools.partial(project_run.epoch_seconds, case.jobs[0])
    if case.accelerator == "cpu" and not case.shape:
        splits = SomeFaces(len(case.first_run.datamodule.splits.train)).read()
        faces = (case.model, splits)
        for name, dtype in (("NumPy", np.float64), ("NumPy float32", np.float32)):
            calls[name] = functools.partial(numpy_backprop.epoch_seconds, *faces, 100, 2, dtype)
        calls["joblib"] = functools.partial(
            joblib_runs.epoch_seconds, case.model, len(splits.train), case.n_models, case.epochs
        )
    return {name: functools.partial(_after_first, call) for name, call in calls.items()}


def compare(case: Case, rounds: int) -> Row:
    """Return a row of the table, from medians over all epochs but the first of each run."""
    cost = fused_run.cost_of_fusing(case.jobs)
    fuse = cost <= 1 or case.n_models == 1
    took = in_turns(contenders(case, fuse), rounds)
    ms = {
        name: 1e3 * seconds * (1 if name in ("fused", "joblib") else case.n_models)
        for name, seconds in took.items()
    }
    ours = ms.get("fused", ms["separate"])
    ratios = {
        f"{name} / ours": ms[name] / ours if name in ms else None
        for name in ("separate", "NumPy", "NumPy float32", "joblib")
    }
    torch.set_num_threads(ALL_THREADS)
    ideal = 1e3 * case.flops / (1e9 * gemm_rate(_device(case)))
    return {
        "network": f"{case.model} {case.shape.partition('=')[2]}".strip(),
        "device": case.accelerator,
        "M": case.n_models,
        "faces": case.n_faces,
        "cost": cost,
        "ours": "fused" if fuse else "separate",
        "ours, ms": ours,
        **ratios,
        "share of GEMM rate": ideal / ours,
        "peak MiB": peak_mib(case.jobs) if fuse else None,
    }


def _device(case: Case) -> str:
    return "cpu" if case.accelerator == "cpu" else "cuda"


def _after_first(call: Callable[[], list[float]]) -> list[float]:
    return call()[1:]


def main() -> None:
    """Time all rows, print the table and write it as JSON."""
    args = _parser().parse_args()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
    if args.grids:
        publish(args.json.with_name("grids.json"), grids.grid_rows(args.models, args.quick))
        return
    accelerators = ["cpu", *(["gpu"] if torch.cuda.is_available() else [])]
    if args.quick:
        found = [
            Case(model, m, 400, a) for a in accelerators for model in args.models for m in (1, 3)
        ]
    else:
        found = [case for a in accelerators for case in cases(args.models, ALL, a)]
    publish(args.json, [compare(case, 1 if args.quick else args.rounds) for case in found])


def _parser() -> argparse.ArgumentParser:
    made = parser("sweep", __doc__, rounds=3)
    made.add_argument("--grids", action="store_true", help="run the study's two grids end to end")
    made.add_argument("--models", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    return made


if __name__ == "__main__":
    main()
