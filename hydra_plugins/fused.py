"""Launchers of this project, where Hydra looks for them, in every process of a sweep."""

from fer_lightning import sweeps


class FusedLauncher(sweeps.FusedLauncher):
    """The launcher of `hydra/launcher=fused`."""


class SubmittedLauncher(sweeps.SubmittedLauncher):
    """The launcher of `hydra/launcher=fused_slurm` and `fused_local`."""
