"""Several processes of which one writes."""

from typing import Any

from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy


class LeaderWritesDDP(DDPStrategy):
    """DDP whose first process writes checkpoints without the others waiting for it.

    The processes exist already, and the environment variables tell which one this is, even inside
    a job of Slurm, which Lightning would else ask first.
    """

    def __init__(self) -> None:
        super().__init__(cluster_environment=LightningEnvironment())

    def barrier(self, name: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Wait for the other processes, except at a checkpoint that only the first one writes."""
        if name != "Trainer.save_checkpoint":
            super().barrier(name, *args, **kwargs)
