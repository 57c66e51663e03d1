"""Costs of training together that were measured before, in a file that all processes share."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from fer_lightning.errors import InputError
from fer_lightning.files import number_at, read_json, write_json
from fer_lightning.fused import Cost

DAYS = 7  # for which a cost is remembered, as the machine may have been busy
_WAIT = 5.0  # seconds for another process that writes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remembered:
    """A cost, and when it was measured, in seconds since 1970."""

    cost: Cost
    measured: float

    @property
    def day(self) -> str:
        """Return day and minute of the measurement, by the local clock."""
        return f"{datetime.fromtimestamp(self.measured):%Y-%m-%d %H:%M}"


class RememberedCosts:
    """The costs of the last week in a JSON file; what is damaged, or no such file, is as none.

    Args:
        path: The file, or None to remember nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def found(self, decided_by: str) -> Remembered | None:
        """Return the cost that was measured where the same decided it, or None.

        Args:
            decided_by: As `fused.decided_by` returns it.
        """
        return self._read().get(decided_by)

    def keep(self, decided_by: str, cost: Cost) -> None:
        """Remember a cost as measured now, and forget those that are too old."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # one after another, so that none takes away what another has just written
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_WAIT):
                costs = self._read() | {decided_by: Remembered(cost, time.time())}
                write_json(self.path, {text: _entry(known) for text, known in costs.items()})
        except (OSError, NotImplementedError) as error:
            log.warning("%s: cannot be written (%s); going on without it", self.path, error)

    def _read(self) -> dict[str, Remembered]:
        """Return what the file has that still counts, by what decides it."""
        if self.path is None:
            return {}
        try:
            entries = read_json(self.path)
        except InputError:
            return {}
        known = {text: _remembered(entry) for text, entry in entries.items()}
        return {text: cost for text, cost in known.items() if cost is not None}


def _entry(known: Remembered) -> dict[str, object]:
    return {"share": known.cost.share, "threads": known.cost.threads, "measured": known.measured}


def _remembered(entry: object) -> Remembered | None:
    """Return what an entry of the file tells, or None if it is none, or too old."""
    share, threads, measured = (number_at(entry, n) for n in ("share", "threads", "measured"))
    if share is None or threads is None or measured is None:
        return None
    is_cost = share > 0 and threads >= 1 and threads == int(threads)
    is_fresh = 0 <= time.time() - measured < DAYS * 24 * 3600
    return Remembered(Cost(share, int(threads)), measured) if is_cost and is_fresh else None
