"""Faces as rows of a csv file: a label, grey levels and, in FER2013, the official split."""

import csv
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO

import numpy as np

from fer_lightning.data.class_names import LEFT_OUT, ClassNames
from fer_lightning.data.image_size import LEAST
from fer_lightning.data.sources.images import in_parallel, resampled
from fer_lightning.errors import InputError
from fer_lightning.files import FileTree, text_lines

USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
COLUMNS, USAGE = ("emotion", "pixels"), "Usage"
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv", "train.csv")  # the fullest first
SEPARATORS = ",;\t"
ROWS = 8192  # that are held as text at once


@dataclass(frozen=True)
class FaceTable:
    """The faces of a csv file, without those that are left out.

    Attributes:
        pixels: Grey levels, (N, size, size), uint8.
        labels: (N,) int64.
        splits: Names of the official splits, (N,), or None without the column `Usage`.
        index: Rows from 0, (N,).
        n_rows: Rows of the file.
        targets: Probabilities of the classes, (N, 7), float32, or None.
    """

    pixels: np.ndarray
    labels: np.ndarray
    splits: np.ndarray | None
    index: np.ndarray
    n_rows: int
    targets: np.ndarray | None = None


def find_table(tree: FileTree) -> str | None:
    """Return the name of the csv file of faces in a tree: of FER2013, or else the only one."""
    tables = [name for name in tree.names() if name.lower().endswith(".csv")]
    known = {name.split("/")[-1]: name for name in reversed(tables)}
    found = [known[name] for name in CSV_NAMES if name in known]
    return (found or tables)[0] if found or len(tables) == 1 else None


def read_table(
    tree: FileTree, name: str, where: str, names: ClassNames, image_size: int
) -> FaceTable:
    """Read the faces of a csv file.

    Args:
        tree: Where the file is.
        name: Its name there.
        where: Its name in messages.
        names: What its labels mean.
        image_size: Side of the faces that are returned, in pixels.

    Raises:
        InputError: A row is not what it should be; the message names it.
    """
    found: list[str] = []
    usages: list[str | None] = []
    pixels = []
    n_pixels = None
    with tree.open(name) as file:
        numbered = enumerate(_rows(file, where), 1)
        while rows := list(islice(numbered, ROWS)):
            n_pixels = n_pixels or _n_pixels(rows[0][1]["pixels"], where)
            found += [row["emotion"].strip() for _, row in rows]
            usages += [_usage(row.get(USAGE), where, i) for i, row in rows]
            texts = [(i, row["pixels"]) for i, row in rows]
            levels = in_parallel(partial(_parse_pixels, where, n_pixels), texts)
            pixels.append(resampled(levels, image_size))
    if not found:
        raise InputError(f"{where}: the train split must have faces, got none")
    places = [f"emotion in row {i}" for i in range(1, len(found) + 1)]
    labels = names.labels(found, where, places)
    kept = np.flatnonzero(labels != LEFT_OUT)
    splits = None if usages[0] is None else np.array(usages)[kept]
    return FaceTable(np.concatenate(pixels)[kept], labels[kept], splits, kept, len(found))


def _rows(file: IO[bytes], where: str) -> Iterator[dict[str, str]]:
    """Yield the rows below the header by column name, without spaces around the names."""
    try:
        lines = text_lines(file, where)
        first = next(lines, "")
        separator = max(SEPARATORS, key=first.count)
        reader = csv.DictReader(lines, strict=True, delimiter=separator)
        header = [_column(name) for name in next(csv.reader([first], delimiter=separator), [])]
        reader.fieldnames = header
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise InputError(
                f"{where}: column {missing[0]!r} is missing; the header must have "
                f"{', '.join(COLUMNS)}, and {USAGE} for official splits, "
                f"got {', '.join(header)[:80]!r}"
            )
        columns = [name for name in (*COLUMNS, USAGE) if name in header]
        for i, row in enumerate(reader, 1):
            if any(row[column] is None for column in columns):
                raise InputError(f"{where}: row {i} must have {len(header)} columns, got fewer")
            yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{where}: not a csv file ({error})") from error


def _column(name: str) -> str:
    """Return the name of a column, as this module has it if it is one of those that it reads."""
    known = {column.lower(): column for column in (*COLUMNS, USAGE)}
    return known.get(name.strip().lower(), name.strip())


def _usage(text: str | None, where: str, row: int) -> str | None:
    if text is None:
        return None
    if text.strip() not in USAGES:
        raise InputError(
            f"{where}: {USAGE} in row {row} must be one of {', '.join(USAGES)}, got {text!r}"
        )
    return USAGES[text.strip()]


def _n_pixels(text: str, where: str) -> int:
    """Return the number of pixels in the first row, which all others must have."""
    n = len(text.split())
    if math.isqrt(n) ** 2 != n or n < LEAST * LEAST:
        raise InputError(
            f"{where}: row 1 must have a square number of pixels, such as 2304, got {n}"
        )
    return n


def _parse_pixels(where: str, n_pixels: int, numbered: Sequence[tuple[int, str]]) -> np.ndarray:
    side = math.isqrt(n_pixels)
    levels = np.stack([_parse_row(where, n_pixels, *row) for row in numbered])
    return levels.reshape(-1, side, side)


def _parse_row(where: str, n_pixels: int, row: int, text: str) -> np.ndarray:
    """Return the grey levels of one row, (n_pixels,), uint8."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy only warns of what is not a number
            values = np.fromstring(text, dtype=np.int64, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise InputError(f"{where}: pixels in row {row} must be whole numbers 0..255") from error
    if len(values) != n_pixels:
        raise InputError(
            f"{where}: row {row} must have {n_pixels} pixels, as the first has, got {len(values)}"
        )
    if values.min() < 0 or values.max() > 255:
        wrong = values[(values < 0) | (values > 255)][0]
        raise InputError(f"{where}: pixels in row {row} must be 0..255, got {wrong}")
    return values.astype(np.uint8)
