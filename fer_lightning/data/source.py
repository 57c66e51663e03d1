"""What a source of faces offers, and the checks that all sources share."""

from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from fer_lightning.data.faces import SPLITS, FaceSplits
from fer_lightning.errors import InputError, SettingError


class Source(Protocol):
    """A data set that can be read: a frozen dataclass whose fields are its settings."""

    name: ClassVar[str]

    def files(self) -> list[Path]:
        """Files and folders whose content decides what `read` returns, besides the settings."""

    def read(self) -> FaceSplits:
        """Read and decode all faces."""


def existing_path(path: str | Path | None, what: str) -> Path:
    """The path of a data set.

    Raises:
        InputError: None was given, or nothing is there that could be read.
    """
    if path is None or str(path) == "":
        raise SettingError("path", f"be given: {what}", path)
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"no such file or folder: {path}")
    if not (path.is_file() or path.is_dir()):  # pipes and devices may never end
        raise InputError(f"{path}: must be a file or a folder")
    return path


def require_faces(splits: np.ndarray, where: str) -> None:
    """Raise an `InputError` if one of the splits has no faces."""
    for split in SPLITS:
        if not (splits == split).any():
            raise InputError(f"{where}: the {split} split must have faces, got none")
