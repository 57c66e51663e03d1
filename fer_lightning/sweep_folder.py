"""Where the sweep of this process writes, whichever processes run its jobs."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class SweepFolder(Callback):
    """Remembers the folder of a sweep when Hydra begins it; `path` is None before that."""

    path: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        SweepFolder.path = Path(config.hydra.sweep.dir)


def begun_sweep() -> Path | None:
    """The folder of the sweep, or None if there is none of which a job has begun."""
    folder = SweepFolder.path
    return folder if folder and any(folder.glob("*/.hydra")) else None
