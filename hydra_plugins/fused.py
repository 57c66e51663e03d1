"""Launchers of this project, where Hydra looks for them, in every process of a sweep."""

from fer_lightning.fused import launcher, submitted


class FusedLauncher(launcher.FusedLauncher):
    """`hydra/launcher=fused`."""


class SubmittedLauncher(submitted.SubmittedLauncher):
    """`hydra/launcher=fused_slurm`, `fused_local`."""
