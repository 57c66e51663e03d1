"""Training in this process."""

from collections.abc import Callable
from pathlib import Path

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
            "image_every_n_epochs=0",  # figures take longer than all else
            *overrides,
        ]
        (tmp_path / name).mkdir()
        return train(composed("train", *given), tmp_path / name, list(overrides))

    return run


@pytest.fixture
def evaluate_here(composed, tmp_path) -> Callable[..., None]:
    """Evaluate runs, by path, in this process; pictures are drawn only if asked for."""
    from fer_lightning import evaluation_folder
    from fer_lightning.evaluation_job import evaluate

    def run(*runs: Path | str, settings: tuple[str, ...] = (), figures: bool = False) -> None:
        names = ",".join(f"'{path}'" for path in runs)
        output = f"output={tmp_path / 'output'}"
        with pytest.MonkeyPatch.context() as patch:
            if not figures:
                patch.setattr(evaluation_folder, "evaluation_figures", lambda *_: {})
            evaluate(composed("evaluate", f"runs=[{names}]", output, *settings))

    return run
