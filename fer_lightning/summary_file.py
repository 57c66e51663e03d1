"""What a run's `summary.json` says."""

import json
import logging
from pathlib import Path
from typing import Any

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
    try:
        summary = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error})") from error
    if not isinstance(summary, dict):
        raise InputError(f"{path}: not a run's summary")
    return summary
