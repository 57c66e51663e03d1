"""Folders as searches leave them, written by hand."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from fer_lightning.report.collection import collect
from fer_lightning.report.searches.search import search_of
from tests.fer_lightning.report.conftest import write_run as write_run

OPTUNA = {"_target_": "hydra_plugins.search.OptunaSweeper", "objectives": ["val/acc"]}
HALVING = {
    "_target_": "hydra_plugins.search.HalvingSweeper",
    "method": "successive",
    "eta": 3,
    "min_epochs": 1,
}


@pytest.fixture
def write_search(write_run, tmp_path) -> Callable[..., Path]:
    """Write a search; each run is settings, a curve of validation accuracy, and more facts."""

    def write(
        sweeper: dict[str, object],
        *runs: tuple[dict[str, object], Sequence[float], dict[str, object]],
        task: Sequence[str] = (),
    ) -> Path:
        for number, (settings, curve, facts) in enumerate(runs, 1):
            told = {"model": "mlp", "trainer.max_epochs": 9, **settings}
            overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
            write_run(
                f"search/{number}_run", curve, [2 - acc for acc in curve], overrides,
                **{"settings": told, "epochs": len(curve), **facts},
            )  # fmt: skip
        hydra = {"hydra": {"sweeper": sweeper, "overrides": {"task": list(task)}}}
        (tmp_path / "search" / "multirun.yaml").write_text(yaml.safe_dump(hydra))
        return tmp_path / "search"

    return write


@pytest.fixture
def search(write_search):
    """Write a search, and read it."""

    def read(sweeper, *runs, task=()):
        return search_of(collect([write_search(sweeper, *runs, task=task)]).sweeps[0])

    return read
