"""Lightning's DDP, as this project's runs need it."""

from typing import Any

import torch.distributed
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy


class LeaderWritesDDP(DDPStrategy):
    """DDP whose first process writes checkpoints when it likes, the others not awaiting it.

    The processes are there already, and the environment tells which one this is, also inside a job
    of Slurm, for which Lightning would look there first.
    """

    def __init__(self) -> None:
        super().__init__(cluster_environment=LightningEnvironment())

    def barrier(self, name: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Wait for the others, unless it is for a checkpoint that only the first one writes."""
        if name != "Trainer.save_checkpoint":
            super().barrier(name, *args, **kwargs)


def leave_group() -> None:
    """End the group of processes, if this one is in one, so that another run can form its own."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
