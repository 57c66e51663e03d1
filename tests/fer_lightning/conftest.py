"""Training in this process."""

from collections.abc import Callable

import pytest


@pytest.fixture
def train_here(csv_path, composed, tmp_path) -> Callable[..., float]:
    """Train on a few faces in this process; the first argument names the folder in tmp_path."""
    from fer_lightning.training import train

    def run(name: str, *overrides: str) -> float:
        given = ["data=fer2013", f"data.path={csv_path}", "trainer.accelerator=cpu"]
        given += [
            "threads=1",
            f"data.cache_dir={tmp_path / 'cache'}",
            "trainer.max_epochs=3",
            *overrides,
        ]
        (tmp_path / name).mkdir()
        return train(composed("train", *given), tmp_path / name, list(overrides))

    return run
