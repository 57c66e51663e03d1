"""Time of an epoch of `python train.py` against a bare PyTorch loop with the same arithmetic.

Both run in one process, in turns, on the synthetic faces with the study's settings: shuffled
minibatches, forward, backward, SGD, the epoch's mean loss and accuracy, and an evaluation of the
validation faces. The project's side is the ordinary run with its progress, log, TensorBoard events
and checkpoints. `python -m benchmarks.epoch` prints the ratios and writes them as JSON.
"""

import argparse
import csv
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from torch import nn

from fer_lightning.data.cache import load
from fer_lightning.data.faces import Faces, FaceSplits
from fer_lightning.data.synthetic import Synthetic
from fer_lightning.networks import CNN, MLP
from fer_lightning.shell import CONF, PROJECT_ROOT, register_resolvers
from fer_lightning.training import ALL_THREADS, train

CACHE = PROJECT_ROOT / "multirun" / ".cache"
EPOCHS = {"mlp": 60, "cnn": 4}
LR = {"mlp": 0.01, "cnn": 0.1}


def bare_epochs(network: nn.Module, splits: FaceSplits, lr: float, epochs: int) -> list[float]:
    """Seconds of each epoch of a loop written by hand."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    pixels = splits.train.images.flatten(1)
    labels = splits.train.labels
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        total = correct = 0.0
        for rows in torch.randperm(len(labels)).split(100):
            x = pixels.index_select(0, rows).view(-1, 1, 48, 48).float().div_(255)
            y = labels.index_select(0, rows)
            logits = network(x)
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            correct += (logits.argmax(1) == y).sum().item()
        bare_evaluation(network, splits.val)
        seconds.append(time.perf_counter() - start)
    return seconds


@torch.no_grad()
def bare_evaluation(network: nn.Module, faces: Faces) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    logits = network(faces.images.float().div_(255))
    ce = F.cross_entropy(logits, faces.labels).item()
    return ce, (logits.argmax(1) == faces.labels).float().mean().item()


def project_epochs(model: str, epochs: int) -> list[float]:
    """Seconds of each epoch of an ordinary run, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            overrides = [
                f"model={model}",
                f"trainer.max_epochs={epochs}",
                "trainer.accelerator=cpu",
            ]
            config = compose("train", overrides=overrides)
        train(config, Path(folder), overrides)
        with (Path(folder) / "metrics.csv").open() as file:
            return [float(row["seconds"]) for row in csv.DictReader(file)]


def compare(model: str, rounds: int, splits: FaceSplits) -> dict[str, float]:
    """Medians in milliseconds over all epochs but the first of each run, which warms up.

    The bare loop is timed with one thread and with all; the ratio is to the faster of the two.
    """
    seconds: dict[str, list[float]] = {"bare, 1 thread": [], "bare, all": [], "project": []}
    for _ in range(rounds):
        for name, threads in (("bare, 1 thread", 1), ("bare, all", ALL_THREADS)):
            torch.set_num_threads(threads)
            network = (MLP if model == "mlp" else CNN)().layers
            seconds[name] += bare_epochs(network, splits, LR[model], EPOCHS[model])[1:]
        seconds["project"] += project_epochs(model, EPOCHS[model])[1:]
    medians = {name: 1e3 * statistics.median(times) for name, times in seconds.items()}
    best = min(medians["bare, 1 thread"], medians["bare, all"])
    return {**medians, "ratio": medians["project"] / best}


def main() -> None:
    """Print and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=PROJECT_ROOT / "multirun" / "epoch.json")
    args = parser.parse_args()
    register_resolvers()
    splits = load(Synthetic(), CACHE)
    results = {model: compare(model, args.rounds, splits) for model in EPOCHS}
    columns = list(results["mlp"])
    print(" " * 4 + "".join(f"{name:>18}" for name in columns) + "   (milliseconds an epoch)")
    for model, row in results.items():
        print(f"{model:4}" + "".join(f"{row[name]:18.2f}" for name in columns))
    facts = {"torch": torch.__version__, "threads": ALL_THREADS, "machine": platform.processor()}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({**facts, **results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
