"""A text file that lists pictures with their labels, as RAF-DB has one."""

import re
from collections.abc import Sequence

from fer_lightning.errors import InputError
from fer_lightning.files import FileTree

ALIGNED = "_aligned"  # what RAF-DB adds to the listed name of a picture whose face is cut out


def read_label_list(tree: FileTree, name: str) -> dict[str, str]:
    """Return the label of each file name that a list has.

    Args:
        tree: Where the list is.
        name: Its name there; a line is a file name and a label, between spaces or a comma.

    Raises:
        InputError: A line is none of a list, or contradicts another.
    """
    where = f"{tree.path}: {name}"
    try:
        text = tree.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not a text file ({error})") from error
    labels: dict[str, str] = {}
    for i, line in enumerate(text.splitlines(), 1):
        words = re.split(r"[\s,;]+", line.strip())
        if words == [""]:
            continue
        if len(words) != 2:
            rule = "must be the name of a picture and its label"
            raise InputError(f"{where}: line {i} {rule}, got {line[:80]!r}")
        picture, label = words
        if labels.setdefault(picture, label) != label:
            raise InputError(f"{where}: line {i} must repeat no picture, got {picture!r}")
    return labels


def listed_name(picture: str) -> str:
    """Return the name under which a list has a picture, be it aligned or not."""
    stem, dot, suffix = picture.split("/")[-1].rpartition(".")
    return stem.removesuffix(ALIGNED) + dot + suffix


def listed_pictures(pictures: Sequence[str], labels: dict[str, str]) -> dict[str, str]:
    """Return the label of each picture that a list has, by its name in the tree.

    Where both a picture and its aligned form are there, the aligned one is taken.

    Args:
        pictures: Names in the tree.
        labels: Label of each listed file name.
    """
    aligned: dict[str, str] = {}
    plain: dict[str, str] = {}
    for name in pictures:
        file, listed = name.split("/")[-1], listed_name(name)
        if file in labels:
            plain[name] = labels[file]
        elif listed in labels:
            aligned[name] = labels[listed]
    return aligned or plain
