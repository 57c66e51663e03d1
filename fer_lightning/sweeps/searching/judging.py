"""Who may stop a run of a sweep after an epoch."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from fer_lightning.runs import run_number
from fer_lightning.sweeps.searching.halving import AsynchronousRungs
from fer_lightning.sweeps.searching.rungs import rung_epochs
from fer_lightning.sweeps.searching.samplers_pruners import (
    PRUNERS,
    known_as,
    pruner_of,
    require_optuna,
)
from fer_lightning.sweeps.searching.trials import PrunedTrials

if TYPE_CHECKING:  # PyTorch takes a second to import
    from fer_lightning.training import Judge


def judge_of(config: DictConfig, hydra: HydraConf, folder: Path) -> "Judge | None":
    """Return who may stop a run, or None where nobody does.

    Args:
        config: The settings of the run.
        hydra: Hydra's settings of its job.
        folder: Of the run.
    """
    sweeper = hydra.sweeper
    if sweeper.get("method") == "asynchronous":
        rungs = rung_epochs(sweeper.min_epochs, config.trainer.max_epochs, sweeper.eta)
        return AsynchronousRungs(folder, rungs, sweeper.eta)
    if "pruner" not in sweeper or known_as(sweeper.pruner, PRUNERS, "pruner") == "Nop":
        return None
    return _pruned_trials(folder.parent, OmegaConf.to_yaml(sweeper)).judge(run_number(folder) - 1)


@functools.cache
def _pruned_trials(folder: Path, sweeper: str) -> PrunedTrials:
    """Return what all runs of a search report to, of which a process needs one.

    Args:
        folder: Of the sweep.
        sweeper: The settings of the sweeper, as YAML.
    """
    require_optuna()
    settings = OmegaConf.create(sweeper)
    assert isinstance(settings, DictConfig)
    pruner = pruner_of(known_as(settings.pruner, PRUNERS, "pruner"), settings.pruner_args or {})
    return PrunedTrials(folder, settings.storage, pruner, settings.objectives[0])
