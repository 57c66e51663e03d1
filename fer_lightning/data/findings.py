"""What an audit finds, a row of `audit.csv` each, and how that file is read; without PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lightning.data.splitting import SPLITS
from fer_lightning.errors import InputError, SettingError
from fer_lightning.files import read_rows

TWINS = ("exact", "near", "mirrored")  # a face that is shown twice, and how
FINDINGS = (*TWINS, "conflict", "empty", "label")
DROPPED = FINDINGS[:-1]  # what networks say of labels is an opinion
AUDIT_COLUMNS = (
    *("split", "row", "index", "label", "finding", "group", "partner", "similarity", "margin"),
    *("suggested", "fingerprint"),
)
REMEDY = "python -m fer_lightning.data audit makes one"
MAX_ROWS = 2**31


@dataclass(frozen=True)
class Finding:
    """What an audit says of a face; docs/files.md says what each column of `audit.csv` is.

    Attributes:
        split: `train`, `val` or `test`, as the data set has them.
        row: Position in the canonical order of that split.
        label: Name of its class.
        finding: One of `FINDINGS`.
        group: Number of the group of pictures that show the same, or None.
    """

    split: str
    row: int
    label: str
    finding: str
    group: int | None


@dataclass(frozen=True)
class Findings:
    """The rows of an `audit.csv`.

    Attributes:
        path: The file.
        rows: What it says.
        fingerprint: Of the data set that it is about; None if nothing was found.
    """

    path: str
    rows: tuple[Finding, ...]
    fingerprint: str | None


def require_findings(drop_findings: Any) -> None:
    """Raise a `SettingError` unless this is a list of findings by which faces are left out."""
    listed = isinstance(drop_findings, Sequence) and not isinstance(drop_findings, str)
    if not listed or not all(name in FINDINGS for name in drop_findings):
        told = drop_findings if isinstance(drop_findings, str) or not listed else [*drop_findings]
        raise SettingError("drop_findings", f"be a list of {', '.join(FINDINGS)}", told)


def read_findings(path: str | Path, name: str) -> Findings:
    """Return what an `audit.csv` says.

    Args:
        path: The file, from anywhere.
        name: The setting that names it, for errors.

    Raises:
        InputError: It is not there, damaged, or another kind of file.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"{name} must be an audit.csv, got {path!r}; {REMEDY}")
    try:
        cells = read_rows(Path(path).expanduser(), AUDIT_COLUMNS)
        rows = tuple(_finding(line, row) for line, row in enumerate(cells, 2))
        prints = {row[-1] for row in cells}
        if len(prints) > 1:
            raise InputError("its rows are of several data sets")
    except InputError as error:
        told = f"{name} must be an audit.csv, got {str(path)!r} ({error}); {REMEDY}"
        raise InputError(told) from error
    return Findings(str(path), rows, prints.pop() if prints else None)


def _finding(line: int, row: Sequence[str]) -> Finding:
    split, place, _, label, finding, group = row[:6]
    known = split in SPLITS and finding in FINDINGS
    if not (known and _is_count(place) and (_is_count(group) or not group)):
        raise InputError(f"no finding in line {line}")
    return Finding(split, int(place), label, finding, int(group) if group else None)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11 and int(text) < MAX_ROWS
