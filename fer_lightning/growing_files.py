"""Files that grow while a run goes on, and that are cut back when it goes on from before."""

import os
from collections.abc import Sequence
from pathlib import Path

from fer_lightning.atomic import sync
from fer_lightning.errors import InputError


class GrowingFiles:
    """Files of a folder to which a run only adds.

    Args:
        folder: The folder.
        patterns: Of their names.
    """

    def __init__(self, folder: Path, patterns: Sequence[str]) -> None:
        self.folder, self.patterns = folder, patterns

    def sizes(self) -> dict[str, int]:
        """Bytes of each file by its name, all of which would survive a loss of power."""
        found = sorted(self._found())
        for path in found:
            sync(path)
        return {path.name: path.stat().st_size for path in found}

    def cut(self, sizes: dict[str, int]) -> None:
        """Cut the files back to sizes that they had, and remove those that were not there yet.

        Raises:
            InputError: One has become shorter than it was, or is gone.
        """
        found = self._found()
        for path in found:
            if path.stat().st_size < sizes.get(path.name, 0):
                raise InputError(f"{path}: damaged (it is shorter than its checkpoint says)")
        missing = sizes.keys() - {path.name for path in found}
        if missing:
            raise InputError(f"{self.folder / min(missing)}: no longer there")
        for path in found:
            if path.name in sizes:
                os.truncate(path, sizes[path.name])
            else:
                path.unlink()

    def remove(self) -> None:
        """Remove all of them."""
        self.cut({})

    def _found(self) -> set[Path]:
        return {path for pattern in self.patterns for path in self.folder.glob(pattern)}
