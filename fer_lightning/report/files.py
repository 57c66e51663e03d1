"""What runs wrote, read without trusting it: whole files, and values inside them."""

import csv
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_lightning.errors import InputError


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: It cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path.name} cannot be read: {_reason(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.name} must hold an object, got {type(content).__name__}")
    return content


def read_rows(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The rows of a CSV file below its header; a last row that was cut off is left out.

    Raises:
        InputError: It cannot be read, has other columns, or a row of another length.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read: {_reason(error)}") from error
    if header != list(columns):
        wanted, got = ",".join(columns), ",".join(header)[:80]
        raise InputError(f"{path.name} must have the columns {wanted}, got {got!r}")
    if rows and len(rows[-1]) < len(columns):
        rows.pop()
    for line, row in enumerate(rows, 2):
        if len(row) != len(columns):
            raise InputError(
                f"{path.name} must have {len(columns)} cells a row, got {len(row)} in line {line}"
            )
    return rows


def numbers(name: str, cells: Sequence[str]) -> list[float]:
    """Cells of a CSV file as numbers, NaN where they are empty.

    Raises:
        InputError: One is no number.
    """
    try:
        return [float(cell) if cell else math.nan for cell in cells]
    except ValueError as error:
        raise InputError(f"{name} must hold numbers: {_reason(error)}") from error


def value_at(tree: object, *keys: str) -> object:
    """What stands at a path of keys in nested objects, or None."""
    for key in keys:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


def number_at(tree: object, *keys: str) -> float | None:
    """The finite number at a path of keys in nested objects, or None."""
    value = value_at(tree, *keys)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < math.inf else None


def text_at(tree: object, *keys: str) -> str | None:
    """The string at a path of keys in nested objects, or None."""
    value = value_at(tree, *keys)
    return readable(value) if isinstance(value, str) else None


def readable(text: str) -> str:
    """The text with a mark in the place of what neither HTML nor SVG can hold."""
    return re.sub("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)


def _reason(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split())[:120]
