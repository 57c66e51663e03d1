"""What a run's figures come from: the faces, the code and the versions of its packages."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fer_lightning.data.faces import FaceSplits
from fer_lightning.data.source import Source

PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy", "fer-lightning")


def data_facts(source: Source, splits: FaceSplits) -> dict[str, Any]:
    """Name, split sizes and fingerprint of a data set."""
    return {"name": source.name, **splits.sizes(), "fingerprint": splits.fingerprint()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what a run computes."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def commit() -> str | None:
    """The project's commit, with `-dirty` where files have changed since, or None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
