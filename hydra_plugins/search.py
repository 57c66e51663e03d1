"""Sweepers of this project, where Hydra looks for them, in every process of a sweep."""

from fer_lightning import sweeps


class OptunaSweeper(sweeps.OptunaSweeper):
    """The sweeper of `hydra/sweeper=optuna`."""


class HalvingSweeper(sweeps.HalvingSweeper):
    """The sweeper of `hydra/sweeper=halving`."""
