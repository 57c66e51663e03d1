"""Runs of the project, in this process or as users start them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from fer_lightning.shell import CONF, PROJECT_ROOT, register_resolvers


@pytest.fixture
def csv_path(drawn, write_csv) -> Path:
    """A csv file with a few faces."""
    return write_csv(drawn)


@pytest.fixture
def train_here(csv_path, tmp_path) -> Callable[..., float]:
    """Train on a few faces in this process; the first argument names the folder in tmp_path."""
    from fer_lightning.training import train

    def run(name: str, *overrides: str) -> float:
        register_resolvers()
        given = ["data=fer2013", f"data.path={csv_path}", "trainer.accelerator=cpu"]
        given += [f"data.cache_dir={tmp_path / 'cache'}", "trainer.max_epochs=3", *overrides]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("train", overrides=given)
        (tmp_path / name).mkdir()
        return train(config, tmp_path / name, list(overrides))

    return run


@pytest.fixture
def shell(tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Start a command of the project in a folder of its own, as a user would."""

    def run(*command: str, **environment: str) -> subprocess.CompletedProcess:
        program = (
            [str(PROJECT_ROOT / "train.py")] if command[0] == "train.py" else ["-m", command[0]]
        )
        here = tmp_path / "elsewhere"
        here.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, *program, *command[1:]],
            cwd=here,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    return run
