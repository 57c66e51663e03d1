"""Synthetic faces in any number."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from fer_lightning.data.cache import load
from fer_lightning.data.faces import FaceSplits
from fer_lightning.data.sources.synthetic import Synthetic
from fer_lightning.shell.configuration import project_root

CACHE = project_root() / "multirun" / ".cache"
ALL = 3374


@dataclass(frozen=True)
class SomeFaces:
    """The synthetic faces with n training faces: the first n, or all of them repeated.

    Attributes:
        n: Training faces.
    """

    name: ClassVar[str] = "synthetic"
    n: int = ALL

    def files(self) -> list[Path]:
        """Return the files that decide what the synthetic faces are."""
        return Synthetic().files()

    def read(self) -> FaceSplits:
        """Return the faces, with the complete validation and test splits."""
        splits = load(Synthetic(), CACHE)
        rows = torch.arange(self.n) % len(splits.train)
        return FaceSplits(splits.train.take(rows), splits.val, splits.test)


def overrides_of(n: int) -> list[str]:
    """Return the overrides that make a run of the project use `SomeFaces`."""
    return [
        f"data.source._target_={SomeFaces.__module__}.SomeFaces",
        "~data.source.seed",
        "~data.source.image_size",
        f"+data.source.n={n}",
        "data.cache_dir=null",
    ]
