"""FER+ (Barsoum et al., 2016): the votes of ten people for each face of FER2013."""

import csv
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from fer_lightning.data.sources.csv_table import SEPARATORS, USAGE, USAGES, FaceTable
from fer_lightning.errors import InputError
from fer_lightning.files import Folder, text_lines

# The columns with votes, in the order of the file, and which of them are expressions.
VOTED = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COLUMNS = (*VOTED, "unknown", "NF")
OURS = [VOTED.index(name) for name in ("anger", "disgust", "fear", "happiness", "sadness")]
OURS += [VOTED.index(name) for name in ("surprise", "neutral")]
MAX_CANDIDATES = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Voted:
    """What people said about each face.

    Attributes:
        usages: The official split of each row, as the file names it.
        labels: The likeliest of the seven classes, (N,), or -1 of a face that is left out.
        probabilities: Of the seven classes, (N, 7); zeros of a face that is left out.
    """

    usages: list[str]
    labels: np.ndarray
    probabilities: np.ndarray


def majority(votes: np.ndarray) -> np.ndarray:
    """Return the label of a face that more than half of its votes name, as probabilities.

    Args:
        votes: Numbers of votes by `COLUMNS`, (10,).

    Returns:
        (10,): 1 at the label, or at `unknown` where nothing has more than half of the votes, not
        counting what one person alone said.
    """
    votes = _without_single(votes)
    found = np.zeros(len(COLUMNS))
    most = int(votes.argmax())
    found[most if votes[most] > 0.5 * votes.sum() else COLUMNS.index("unknown")] = 1
    return found


def distribution(votes: np.ndarray) -> np.ndarray:
    """Return the probabilities of the labels of a face, after the paper's rules.

    Votes of one person alone do not count. The labels with most votes, those with equally many
    together, are taken until they have three quarters of all votes, are three, or are `unknown` or
    `NF`; the latter are taken only if nothing is before them. Where that is half of the votes or
    less, or more than three labels, the face is `unknown`.

    Args:
        votes: Numbers of votes by `COLUMNS`, (10,).

    Returns:
        Their shares among the votes taken, (10,).
    """
    left = _without_single(votes)
    total = left.sum()
    taken = np.zeros(len(COLUMNS))
    n_taken, goes_on = 0, True
    while goes_on and n_taken < MAX_CANDIDATES and taken.sum() < 0.75 * total:
        most = left.max()
        for column in np.flatnonzero(left == most):
            left[column] = 0
            if column < len(VOTED):
                taken[column] = most
                n_taken += 1
                continue
            goes_on = False
            if not taken.any():
                taken[column] = most
                n_taken += 1
            break
    if n_taken > MAX_CANDIDATES or taken.sum() <= 0.5 * total:
        taken = np.zeros(len(COLUMNS))
        taken[COLUMNS.index("unknown")] = 1
    return taken / taken.sum()


RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "soft": distribution,
    "majority": majority,
}


def _without_single(votes: np.ndarray) -> np.ndarray:
    return np.where(votes > 1, votes, 0).astype(np.float64)


def of_seven(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the likeliest of the seven classes and the probabilities of all.

    A face is left out if its likeliest label, the first of several, is contempt, `unknown` or `NF`.
    What others have of these is spread over the seven by their own shares.

    Args:
        probabilities: By `COLUMNS`, (N, 10).

    Returns:
        (N,), -1 where a face is left out; and (N, 7), zeros there.
    """
    place = np.full(len(COLUMNS), -1)
    place[OURS] = np.arange(len(OURS))
    labels = place[probabilities.argmax(1)]
    seven = np.where(labels[:, None] >= 0, probabilities[:, OURS], 0)
    return labels, seven / np.maximum(seven.sum(1, keepdims=True), np.finfo(float).tiny)


@dataclass(frozen=True)
class Votes:
    """The votes that take the place of the labels of `fer2013.csv`.

    Args:
        path: `fer2013new.csv`.
        rule: One of `RULES`: what becomes of them.
    """

    path: Path
    rule: str

    def joined(self, table: FaceTable, where: str) -> FaceTable:
        """Return the faces of a table that have a label by the votes, with those labels.

        Args:
            table: The faces of `fer2013.csv`, whose rows are those of the votes.
            where: Its name in messages.

        Raises:
            InputError: The rows are others.
        """
        name = str(self.path)
        with Folder(self.path.parent).open(self.path.name) as file:
            voted = read_votes(file, name, self.rule)
        n = len(voted.labels)
        if n != table.n_rows:
            rule = f"must have the rows of {where} ({table.n_rows:,})"
            raise InputError(f"{name}: {rule}, got {n:,}")
        if table.splits is None:
            raise InputError(f"{where}: must have the column {USAGE} where FER+ is joined to it")
        for row, split in zip(table.index, table.splits, strict=True):
            if USAGES.get(voted.usages[row]) != split:
                own = next(usage for usage, its in USAGES.items() if its == split)
                rule = f"{USAGE} in row {row + 1} must be {own}, as in {where}"
                raise InputError(f"{name}: {rule}, got {voted.usages[row]!r}")
        kept = np.flatnonzero(voted.labels[table.index] >= 0)
        rows = table.index[kept]
        told = "%s: %s of %s faces have a label by their votes (%s)"
        log.info(told, self.path.name, f"{len(kept):,}", f"{len(table.index):,}", self.rule)
        soft = voted.probabilities[rows].astype(np.float32) if self.rule == "soft" else None
        return replace(
            table,
            pixels=table.pixels[kept],
            labels=voted.labels[rows],
            splits=table.splits[kept],
            index=rows,
            targets=soft,
        )


def read_votes(file: IO[bytes], where: str, rule: str) -> Voted:
    """Return the labels in a file such as `fer2013new.csv`, in its order.

    Args:
        file: Its bytes.
        where: Its name for messages.
        rule: One of `RULES`.

    Raises:
        InputError: It is not such a file; the message names the row.
    """
    usages, votes = [], []
    try:
        lines = text_lines(file, where)
        first = next(lines, "")
        separator = max(SEPARATORS, key=first.count)
        header = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
        reader = csv.DictReader(lines, header, delimiter=separator, strict=True)
        missing = [name for name in (USAGE, *COLUMNS) if name not in header]
        if missing:
            raise InputError(
                f"{where}: column {missing[0]!r} is missing; the header must have "
                f"{', '.join((USAGE, *COLUMNS))}, got {', '.join(header)[:80]!r}"
            )
        for i, row in enumerate(reader, 1):
            usages.append((row[USAGE] or "").strip())
            votes.append([_count(row[name], name, where, i) for name in COLUMNS])
            if not any(votes[-1]):
                raise InputError(f"{where}: row {i} must have votes, got none")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{where}: not a csv file ({error})") from error
    found = [RULES[rule](np.array(row)) for row in votes]
    return Voted(usages, *of_seven(np.array(found).reshape(-1, len(COLUMNS))))


def _count(text: str | None, column: str, where: str, row: int) -> int:
    if text is None or not text.strip().isdecimal() or len(text.strip()) > 3:
        raise InputError(
            f"{where}: {column} in row {row} must be a number of votes, got {text or ''!r}"
        )
    return int(text)
