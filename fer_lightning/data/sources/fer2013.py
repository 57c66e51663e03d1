"""FER2013 (Goodfellow et al., 2013) as csv, folder or zip, with its official splits."""

import csv
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, ClassVar

import numpy as np

from fer_lightning.data.faces import CLASSES, SIZE, Faces, FaceSplits, existing_path, require_faces
from fer_lightning.data.sources.folder import find_pictures
from fer_lightning.data.sources.images import decode_files, in_parallel
from fer_lightning.data.sources.votes import RULES, read_votes
from fer_lightning.data.splitting import SPLITS
from fer_lightning.errors import InputError, require
from fer_lightning.files import FileTree, Folder, open_tree, text_lines

USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
COLUMNS = ("emotion", "pixels", "Usage")
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
ROWS = 8192  # that are held as text at once

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fer2013:
    """FER2013 from a csv file, a folder or a zip archive.

    Args:
        path: `fer2013.csv` or `icml_face_data.csv`; or a folder or zip archive that holds one of
            these, or pictures named `<class>/<Usage>_<id>.jpg`.
        labels: `fer2013new.csv` of FER+, whose votes take the place of the labels; None keeps those
            of FER2013. Its rows are those of `fer2013.csv`, so pictures cannot be joined to it.
        votes: What becomes of the votes, see `votes.py`: `soft` gives faces in training the
            probabilities of their labels, `majority` the label with more than half of the votes.

    Raises:
        InputError: Nothing is there, or a setting breaks its rule.
    """

    name: ClassVar[str] = "fer2013"
    path: str | Path | None
    labels: str | Path | None = None
    votes: str = "soft"

    def __post_init__(self) -> None:
        require(self.votes in RULES, "votes", f"be one of {', '.join(RULES)}", self.votes)
        self.files()

    def files(self) -> list[Path]:
        """Return the files and folders that the faces are read from."""
        faces = existing_path(self.path, "fer2013.csv, the folder or the zip archive of FER2013")
        if self.labels is None:
            return [faces]
        return [faces, existing_path(self.labels, "fer2013new.csv of FER+", "labels")]

    def read(self) -> FaceSplits:
        """Read all faces.

        Raises:
            InputError: A file is not what it should be; the message names file and row or picture.
        """
        path, *labels = self.files()
        if path.suffix.lower() == ".csv":
            table = _read_csv(Folder(path.parent), path.name, str(path))
        else:
            tree = open_tree(path)
            inside = [name for name in tree.names() if name.split("/")[-1] in CSV_NAMES]
            if not inside:
                rule = "be null for pictures, whose names have no row numbers to join FER+ by"
                require(not labels, "labels", rule, self.labels)
                return _read_pictures(tree)
            table = _read_csv(tree, inside[0], f"{path}: {inside[0]}")
        return _by_split(self._voted(table, labels[0]) if labels else table)

    def _voted(self, table: "Table", path: Path) -> "Table":
        """Return the rows of a table that have a label by the votes, with those labels."""
        where = str(path)
        with Folder(path.parent).open(path.name) as file:
            voted = read_votes(file, where, self.votes)
        n = len(table.labels)
        if len(voted.labels) != n:
            raise InputError(
                f"{where}: must have the rows of {table.where} ({n:,}), got {len(voted.labels):,}"
            )
        for i, (usage, split) in enumerate(zip(voted.usages, table.splits, strict=True), 1):
            if USAGES.get(usage) != split:
                own = next(name for name, its in USAGES.items() if its == split)
                raise InputError(
                    f"{where}: Usage in row {i} must be {own}, as in {table.where}, got {usage!r}"
                )
        rows = np.flatnonzero(voted.labels >= 0)
        log.info(
            "%s: %s of %s faces have a label by their votes (%s)",
            *(path.name, f"{len(rows):,}", f"{n:,}", self.votes),
        )
        soft = voted.probabilities[rows].astype(np.float32) if self.votes == "soft" else None
        return Table(
            where,
            table.pixels[rows],
            voted.labels[rows],
            table.splits[rows],
            table.rows[rows],
            soft,
        )


@dataclass(frozen=True)
class Table:
    """The rows of a csv file of faces.

    Attributes:
        where: Its name for messages.
        pixels: Grey levels, (N, 2304), uint8.
        labels: Classes, (N,).
        splits: Names of the splits, (N,).
        rows: Their positions in the file, (N,), from 0.
        targets: Probabilities of the classes, (N, 7), float32, or None.
    """

    where: str
    pixels: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    rows: np.ndarray
    targets: np.ndarray | None = None


def _read_pictures(tree: FileTree) -> FaceSplits:
    pictures = find_pictures(tree)
    splits = np.array([_split_of(tree, picture.name) for picture in pictures])
    labels = np.array([picture.label for picture in pictures], dtype=np.int64)
    where = str(tree.path)
    require_faces(splits, where)
    pixels = decode_files(tree.path, [picture.name for picture in pictures], SIZE)
    return _by_split(Table(where, pixels, labels, splits, np.arange(len(labels))))


def _split_of(tree: FileTree, name: str) -> str:
    prefix = re.match(r"([A-Za-z]+)_", name.split("/")[-1])
    if prefix is None or prefix[1] not in USAGES:
        raise InputError(
            f"{tree.path}: names of pictures must begin with {'_, '.join(USAGES)}_, got {name!r}; "
            "data=folder reads sets without these prefixes"
        )
    return USAGES[prefix[1]]


def _read_csv(tree: FileTree, name: str, where: str) -> Table:
    labels: list[int] = []
    splits: list[str] = []
    pixels = []
    with tree.open(name) as file:
        numbered = enumerate(_rows(file, where), 1)
        while rows := list(islice(numbered, ROWS)):
            labels += [_label(row["emotion"], where, i) for i, row in rows]
            splits += [_usage(row["Usage"], where, i) for i, row in rows]
            texts = [(where, i, row["pixels"]) for i, row in rows]
            pixels.append(in_parallel(_parse_pixels, texts))
    require_faces(np.array(splits), where)
    grey = np.concatenate(pixels)
    return Table(where, grey, np.array(labels), np.array(splits), np.arange(len(labels)))


def _rows(file: IO[bytes], where: str) -> Iterator[dict[str, str]]:
    """Yield the rows below the header by column name, without spaces around the names."""
    try:
        reader = csv.DictReader(text_lines(file, where), strict=True)
        header = [(name or "").strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise InputError(
                f"{where}: column {missing[0]!r} is missing; the header must have "
                f"{', '.join(COLUMNS)}, got {', '.join(header)[:80]!r}"
            )
        for i, row in enumerate(reader, 1):
            if any(row[column] is None for column in COLUMNS):
                raise InputError(f"{where}: row {i} must have {len(header)} columns, got fewer")
            yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{where}: not a csv file ({error})") from error


def _label(text: str, where: str, row: int) -> int:
    if text.strip() not in map(str, range(len(CLASSES))):
        raise InputError(
            f"{where}: emotion in row {row} must be 0..{len(CLASSES) - 1}, got {text!r}"
        )
    return int(text)


def _usage(text: str, where: str, row: int) -> str:
    if text.strip() not in USAGES:
        raise InputError(
            f"{where}: Usage in row {row} must be one of {', '.join(USAGES)}, got {text!r}"
        )
    return USAGES[text.strip()]


def _parse_pixels(numbered: Sequence[tuple[str, int, str]]) -> np.ndarray:
    return np.stack([_parse_row(*row) for row in numbered])


def _parse_row(where: str, row: int, text: str) -> np.ndarray:
    """Return the grey levels of one row, (2304,), uint8."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy only warns of what is not a number
            values = np.fromstring(text, dtype=np.int64, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise InputError(f"{where}: pixels in row {row} must be whole numbers 0..255") from error
    if len(values) != SIZE * SIZE:
        raise InputError(f"{where}: row {row} must have {SIZE * SIZE} pixels, got {len(values)}")
    if values.min() < 0 or values.max() > 255:
        wrong = values[(values < 0) | (values > 255)][0]
        raise InputError(f"{where}: pixels in row {row} must be 0..255, got {wrong}")
    return values.astype(np.uint8)


def _by_split(table: Table) -> FaceSplits:
    require_faces(table.splits, table.where)

    def faces(rows: np.ndarray) -> Faces:
        targets = None if table.targets is None else table.targets[rows]
        pixels, labels, index = (part[rows] for part in (table.pixels, table.labels, table.rows))
        return Faces.from_arrays(pixels, labels, index=index, targets=targets)

    return FaceSplits(*(faces(np.flatnonzero(table.splits == split)) for split in SPLITS))
