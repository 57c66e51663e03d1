"""Training and fitting on either device, in this process."""

import csv
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.gpu.device import DEVICE

PER_SPLIT = (140, 42, 21)


@pytest.fixture
def faces_csv(drawn, write_csv) -> Path:
    """A csv file of FER2013 with faces that have something of their class."""
    rng = np.random.default_rng(5)
    splits = np.repeat([0, 1, 2], PER_SPLIT)
    labels = np.arange(len(splits)) % 7
    patterns = rng.normal(size=(7, 12, 12)).repeat(4, 1).repeat(4, 2)
    pixels = 128 + 30 * patterns[labels] + rng.normal(scale=25, size=(len(splits), 48, 48))
    pixels = pixels.clip(0, 255).astype(np.uint8)
    return write_csv(type(drawn)(pixels, labels, splits))


@pytest.fixture
def train_on(faces_csv, composed, tmp_path) -> Callable[..., tuple[Path, np.ndarray]]:
    """Train in a folder of tmp_path on a device; return the folder and its curves, (epochs, 4)."""
    from fer_lightning.fused.single_run import train

    def run(name: str, device: str, *overrides: str, resume: bool = False):
        accelerator = "cpu" if device == "cpu" else "gpu"
        given = ["data=fer2013", f"data.path={faces_csv}", f"data.cache_dir={tmp_path / 'cache'}"]
        given += [f"trainer.accelerator={accelerator}", "threads=1", "data.batch_size=20"]
        given += ["image_every_n_epochs=0", "trainer.max_epochs=4", *overrides]
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        given += [f"resume={folder}"] if resume else []
        train(composed("train", *given), folder, list(overrides))
        return folder, curves_of(folder)

    return run


def curves_of(folder: Path) -> np.ndarray:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("train_ce", "train_acc", "val_ce", "val_acc")
    return np.array([[float(row[name]) for name in names] for row in rows])


@pytest.fixture
def summary_of() -> Callable[[Path], dict]:
    return lambda folder: json.loads((folder / "summary.json").read_text())


@pytest.fixture
def no_waiting() -> Iterator[Callable[[], None]]:
    """Let PyTorch raise from a call on where something waits for the GPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode")  # that it misses some
        yield lambda: torch.cuda.set_sync_debug_mode("error") if DEVICE == "cuda" else None
        if DEVICE == "cuda":
            torch.cuda.set_sync_debug_mode("default")
