"""Ordinary runs of the project in this process."""

import csv
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest.mock import patch

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from fer_lightning.fused import compiling
from fer_lightning.fused.single_run import chosen_engine, train
from fer_lightning.shell.configuration import CONF, register_resolvers
from fer_lightning.training.run import Run


def composed(overrides: list[str]) -> DictConfig:
    """Return the configuration of `python train.py` with these overrides."""
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=overrides)


def as_in_a_long_training() -> AbstractContextManager[object]:
    """Make the fused loop compile its steps where that is faster, however few epochs are left."""
    return patch.object(compiling, "PAYS_AFTER", 0.0)


def epoch_seconds(overrides: list[str], compiles: bool = True) -> list[float]:
    """Train as `python train.py` does; return the seconds of each epoch from `metrics.csv`.

    Args:
        overrides: What the command is given.
        compiles: Whether the fused loop may compile its steps, however few epochs are left.
    """
    compilation = as_in_a_long_training() if compiles else nullcontext()
    with tempfile.TemporaryDirectory() as folder, compilation:
        train(composed(overrides), Path(folder), overrides)
        with (Path(folder) / "metrics.csv").open() as file:
            return [float(row["seconds"]) for row in csv.DictReader(file)]


def engine_of_study(overrides: list[str]) -> str:
    """Return the engine chosen for a run of all the study's epochs: `lightning` or `fused`."""
    with tempfile.TemporaryDirectory() as folder:
        return chosen_engine(Run(composed(overrides), Path(folder), overrides))
