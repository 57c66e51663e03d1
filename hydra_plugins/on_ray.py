"""Launchers of this project on Ray, where Hydra looks for them, in every process of a sweep."""

from fer_lightning import sweeps


class RayLauncher(sweeps.RayLauncher):
    """The launcher of `hydra/launcher=ray`."""


class FusedRayLauncher(sweeps.FusedRayLauncher):
    """The launcher of `hydra/launcher=fused_ray`."""
