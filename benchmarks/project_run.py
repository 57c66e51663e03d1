"""Ordinary runs of the project in this process."""

import csv
import tempfile
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from fer_lightning.shell import CONF, register_resolvers
from fer_lightning.training import Run, chosen_engine, train


def composed(overrides: list[str]) -> DictConfig:
    """The configuration of `python train.py` with these overrides, on the CPU."""
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=[*overrides, "trainer.accelerator=cpu"])


def epoch_seconds(overrides: list[str]) -> list[float]:
    """Seconds of each epoch of `python train.py` with these overrides, by its `metrics.csv`."""
    with tempfile.TemporaryDirectory() as folder:
        train(composed(overrides), Path(folder), overrides)
        with (Path(folder) / "metrics.csv").open() as file:
            return [float(row["seconds"]) for row in csv.DictReader(file)]


def engine_of_study(overrides: list[str]) -> list[str]:
    """Overrides that make a short run train as one of all the study's epochs would."""
    with tempfile.TemporaryDirectory() as folder:
        engine = chosen_engine(Run(composed(overrides), Path(folder), overrides))
    return [f"engine={engine}", f"compile={str(engine == 'fused').lower()}"]
