"""Launchers of this project, where Hydra looks for them, in every process of a sweep."""

from fer_lightning import sweeps


class FusedLauncher(sweeps.FusedLauncher):
    """`hydra/launcher=fused`."""


class SubmittedLauncher(sweeps.SubmittedLauncher):
    """`hydra/launcher=fused_slurm`, `fused_local`."""
