"""What the log in the folder of a run says of its end."""

import re
from pathlib import Path

TAIL_BYTES = 1 << 16  # that may hold a traceback
# The project's own: launchers end a job that has failed with success.
_RECORD = re.compile(r"^\[[^]]*\]\[(?:fer_lightning|gmm)[^]]*\]\[([A-Z]+)\] (.*)$", re.MULTILINE)


def told_failure(folder: Path) -> str | None:
    """Why a run failed, as the last record in its log tells; None if that tells of no error."""
    for log in sorted(folder.glob("*.log")):
        records = _RECORD.findall(_tail(log))
        if records and records[-1][0] == "ERROR":
            of_job = re.fullmatch(r"failed: (.*); [^;]*", records[-1][1])
            return of_job[1] if of_job else str(records[-1][1])
    return None


def ending(folder: Path) -> str:
    """What a run without a summary is: `failed`, or `unfinished` if it was cut off or goes on."""
    return "unfinished" if told_failure(folder) is None else "failed"


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
