"""What a run's `summary.json` says."""

import logging
from pathlib import Path
from typing import Any

from fer_lightning.bounded_files import read_json
from fer_lightning.errors import InputError

log = logging.getLogger(__name__)


def finished_run(folder: Path) -> dict[str, Any] | None:
    """The summary of a run that is resumed though it is done, which is said; None otherwise."""
    summary = run_summary(folder)
    if not summary:
        return None
    log.info("done already: %s", folder)
    return summary


def run_summary(folder: Path) -> dict[str, Any]:
    """What a run's summary.json says; nothing if it has none.

    Raises:
        InputError: It is damaged.
    """
    path = folder / "summary.json"
    if not path.exists():
        return {}
    try:
        return read_json(path)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
