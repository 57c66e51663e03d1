"""Values in what runs wrote, read without trusting it."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from fer_lightning.bounded_files import read_table, value_at
from fer_lightning.errors import InputError, one_line


def read_rows(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The rows of a CSV file below its header; a last row that was cut off is left out.

    Raises:
        InputError: It cannot be read, has other columns, or a row of another length.
    """
    header, *rows = read_table(path) or [[]]
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
        raise InputError(f"{name} must hold numbers: {one_line(error)[:120]}") from error


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
