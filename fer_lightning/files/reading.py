"""Files from anywhere: read up to a size that is known beforehand, as plain values and no more."""

import csv
import io
import json
import math
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import yaml

from fer_lightning.errors import InputError, one_line

MAX_LINE = 2**20  # characters; a row of FER2013 has some 9,000
MAX_TEXT_BYTES = 2**25  # of what a run writes about itself; far more than any run does


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return the content of a file.

    Args:
        path: The file; pipes and devices, which may never end, are refused.
        max_bytes: The largest size that is read.

    Raises:
        InputError: It is no regular file, or a larger one.
        OSError: It cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path}: must be a regular file")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError(f"{path}: must have at most {max_bytes} bytes, got more")
    return content


def text_lines(file: IO[bytes], where: str) -> Iterator[str]:
    """Yield the lines of a text, which may be longer than memory.

    Args:
        file: Its bytes, UTF-8, with a byte-order mark or not.
        where: Its name for messages.

    Raises:
        InputError: A line is longer than 1 Mi characters.
        UnicodeDecodeError: It is not UTF-8.
    """
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        while line := text.readline(MAX_LINE):
            if len(line) == MAX_LINE:
                raise InputError(f"{where}: a line must have fewer than {MAX_LINE} characters")
            yield line


def read_text(path: Path) -> str:
    """Return the content of a text file of at most 32 MiB.

    Raises:
        InputError: It is no regular file, or a larger one.
        OSError, ValueError: It cannot be read, or is not UTF-8.
    """
    return read_bytes(path, MAX_TEXT_BYTES).decode("utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        InputError: It cannot be read, or holds something else.
    """
    with _named(path):
        content = json.loads(read_text(path))
    if not isinstance(content, dict):
        raise InputError(f"{path.name} must hold an object, got {type(content).__name__}")
    return content


def read_yaml(path: Path) -> Any:
    """Return the plain values in a YAML file such as Hydra writes; interpolations stay text.

    Raises:
        InputError: It cannot be read.
    """
    with _named(path):
        return plain_yaml(read_text(path))


def read_table(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file, the header included.

    Raises:
        InputError: It cannot be read.
    """
    with _named(path):
        return list(csv.reader(io.StringIO(read_text(path), newline="")))


def plain_yaml(text: str) -> Any:
    """Return the plain values in a YAML text.

    Raises:
        ValueError, RecursionError, yaml.YAMLError: It is not YAML, or has aliases.
    """
    return yaml.load(text, _PlainLoader)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn errors of reading a file inside this block into an `InputError` that names the file."""
    try:
        yield
    except (OSError, ValueError, RecursionError, csv.Error, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{path.name} cannot be read: {one_line(reason)[:120]}") from error


def value_at(tree: object, *keys: str) -> object:
    """Return the value at a path of keys in nested objects, or None."""
    for key in keys:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


class _PlainLoader(yaml.SafeLoader):
    """A YAML loader that refuses names that come twice, and aliases.

    Ten lines of aliases can expand beyond any memory.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [str(name.value) for name, _ in node.value]
        twice, n = max(Counter(names).items(), key=lambda item: item[1], default=("", 0))
        if n > 1:
            raise yaml.YAMLError(f"{twice} comes twice")
        return super().construct_mapping(node, deep)


def read_rows(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """Return the rows of a CSV file below its header, without a last row that was cut off.

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
    """Return the cells of a CSV file as numbers, NaN where they are empty.

    Raises:
        InputError: One is no number.
    """
    try:
        return [float(cell) if cell else math.nan for cell in cells]
    except ValueError as error:
        raise InputError(f"{name} must hold numbers: {one_line(error)[:120]}") from error


def number_at(tree: object, *keys: str) -> float | None:
    """Return the finite number at a path of keys in nested objects, or None."""
    value = value_at(tree, *keys)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < math.inf else None


def text_at(tree: object, *keys: str) -> str | None:
    """Return the string at a path of keys in nested objects, or None."""
    value = value_at(tree, *keys)
    return readable(value) if isinstance(value, str) else None


def readable(text: str) -> str:
    """Return the text with a replacement mark for each character that HTML or SVG cannot hold."""
    return re.sub("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)
