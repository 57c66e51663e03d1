"""Time of an epoch of `python train.py` against other ways to do the same arithmetic.

In one process, in turns, on the synthetic faces with the study's settings: the project as users run
it, with validation, progress, log, TensorBoard events and checkpoints; a bare PyTorch loop, the
fastest of one thread or all and, for the CNN, of channels first or last; the study's NumPy, in
float64 as the study and in float32; and Lightning as it is usually used. The first epoch of a run
warms up and does not count. `python -m benchmarks.epoch` prints milliseconds and their ratios.
"""

import functools
import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks import bare_loop, numpy_backprop, project_run, usual_lightning
from benchmarks.faces import ALL, SomeFaces, overrides_of
from benchmarks.networks import NETWORKS
from benchmarks.results import in_turns, parser, publish
from fer_lightning.data.faces import FaceSplits
from fer_lightning.training.run import ALL_THREADS

BATCH_SIZES = (1, 10, 100, 1000)
# Epochs of a round; the slow ones are as few as a median allows.
EPOCHS = {"mlp": {1: 2, 10: 5, 100: 30, 1000: 30}, "cnn": {1: 2, 10: 2, 100: 4, 1000: 4}}


def contenders(
    model: str, batch_size: int, n_faces: int, epochs: int
) -> dict[str, Callable[[], list[float]]]:
    """Return the programs to time by name; each returns the seconds of its epochs but the first."""
    splits = SomeFaces(n_faces).read()
    overrides = [f"model={model}", f"data.batch_size={batch_size}", *overrides_of(n_faces)]
    overrides += ["trainer.accelerator=cpu"]
    overrides += [f"engine={project_run.engine_of_study(overrides)}"]
    overrides += [f"trainer.max_epochs={epochs + 1}"]
    calls: dict[str, Callable[[], list[float]]] = {
        "project": functools.partial(project_run.epoch_seconds, overrides)
    }
    for threads in {1, ALL_THREADS}:
        for channels_last in (False, True)[: 1 + (model == "cnn")]:
            name = f"bare, {threads} threads{', channels last' * channels_last}"
            calls[name] = functools.partial(
                _bare, model, splits, batch_size, epochs + 1, threads, channels_last
            )
    calls["usual"] = functools.partial(_usual, model, splits, batch_size, epochs + 1)
    for dtype in (np.float64, np.float32):
        calls[f"NumPy, {dtype.__name__}"] = functools.partial(
            numpy_backprop.epoch_seconds,
            *(model, splits, batch_size, 1 + -(-epochs // 4), dtype, NETWORKS[model][1]),
        )
    return {name: functools.partial(_after_first, call) for name, call in calls.items()}


def compare(model: str, batch_size: int, n_faces: int, rounds: int) -> dict[str, Any]:
    """Return a row of the table: median milliseconds of an epoch, and their ratios."""
    epochs = EPOCHS[model][batch_size]
    took = in_turns(contenders(model, batch_size, n_faces, epochs), rounds)
    took = {name: 1e3 * seconds for name, seconds in took.items()}
    project = took.pop("project")
    bare = min((name for name in took if name.startswith("bare")), key=lambda name: took[name])
    return {
        "network": model,
        "batch": batch_size,
        "project, ms": project,
        "bare, ms": took[bare],
        "fastest bare loop": bare.removeprefix("bare, "),
        "project / bare": project / took[bare],
        "usual / project": took["usual"] / project,
        "NumPy float64 / project": took["NumPy, float64"] / project,
        "NumPy float32 / project": took["NumPy, float32"] / project,
    }


def _after_first(call: Callable[[], list[float]]) -> list[float]:
    return call()[1:]


def _bare(
    model: str,
    splits: FaceSplits,
    batch_size: int,
    epochs: int,
    threads: int,
    channels_last: bool,
) -> list[float]:
    torch.set_num_threads(threads)
    network, lr = NETWORKS[model]
    sgd = functools.partial(torch.optim.SGD, lr=lr)
    return bare_loop.epoch_seconds(
        network().layers, splits, batch_size, epochs, sgd, channels_last=channels_last
    )


def _usual(model: str, splits: FaceSplits, batch_size: int, epochs: int) -> list[float]:
    torch.set_num_threads(ALL_THREADS)
    network, lr = NETWORKS[model]
    return usual_lightning.epoch_seconds(network().layers, splits, batch_size, epochs, lr)


def main() -> None:
    """Print the table of times and ratios, and write it as JSON."""
    options = parser("epoch", __doc__, rounds=3)
    options.add_argument("--models", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    options.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    args = options.parse_args()
    n_faces = 300 if args.quick else ALL
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "The .* does not have many workers")
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
    rows = [
        compare(model, batch_size, n_faces, args.rounds)
        for model in args.models
        for batch_size in args.batch_sizes
    ]
    publish(args.json, rows)


if __name__ == "__main__":
    main()
