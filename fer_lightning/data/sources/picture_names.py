"""What the name of a picture and the folders above it say: its class, split, person and view."""

import re
from dataclasses import dataclass

from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.sources.images import SUFFIXES
from fer_lightning.errors import InputError
from fer_lightning.files import FileTree

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "train_set": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "val_set": "val",
    "test": "test",
    "testing": "test",
    "test_set": "test",
}


@dataclass(frozen=True)
class Picture:
    """A picture file.

    Attributes:
        name: In the tree.
        found: Its label as it comes.
        place: What the label was found in, for messages.
        split: The split that its folder or name says, if any.
    """

    name: str
    found: str
    place: str
    split: str | None


def find_pictures(tree: FileTree) -> list[Picture]:
    """Return all pictures of a tree in folders of classes, in the order of their names.

    Args:
        tree: Where they are; files that are no pictures by their suffix are passed over.

    Raises:
        InputError: A picture stands in no folder.
    """
    return [in_class_folder(tree, name) for name in picture_names(tree)]


def picture_names(tree: FileTree) -> list[str]:
    """Return the names of all pictures of a tree, in order."""
    return [name for name in tree.names() if name.lower().endswith(SUFFIXES)]


def in_class_folder(tree: FileTree, name: str) -> Picture:
    """Return a picture whose class is the folder that it stands in.

    Raises:
        InputError: It stands in none.
    """
    folder = ["", *name.split("/")][-2]
    if not folder:
        rule = f"must be one of {', '.join(CLASSES)} or a synonym"
        raise InputError(f"{tree.path}: the folder of a picture {rule}, got {name!r}")
    place = f"the class folder of {name!r}"
    return Picture(name, folder, place, split_above(name.rpartition("/")[0]))


def first_group(pattern: str, name: str) -> str | None:
    """Return what the group of a pattern finds in a file name, its folders left aside, or None."""
    match = re.search(pattern, name.split("/")[-1])
    return match[1] if match else None


def split_above(name: str) -> str | None:
    """Return the split of the nearest folder above a picture that has the name of one."""
    folders = (SPLIT_FOLDERS.get(folder.lower()) for folder in reversed(name.split("/")[:-1]))
    return next((split for split in folders if split), None)
