"""Pictures in a folder per class, with or without a folder per split above it."""

from collections.abc import Collection
from dataclasses import dataclass

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.file_tree import FileTree
from fer_lightning.data.images import SUFFIXES
from fer_lightning.errors import InputError

SYNONYMS = {
    "anger": ("anger", "angry"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "fearful", "afraid"),
    "happy": ("happy", "happiness"),
    "sad": ("sad", "sadness"),
    "surprise": ("surprise", "surprised"),
    "neutral": ("neutral", "neutrality", "normal"),
}
LABELS = {word: CLASSES.index(name) for name, words in SYNONYMS.items() for word in words}
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Picture:
    """A picture file: its name in the tree, its label, the split of the folder above, if any."""

    name: str
    label: int
    split: str | None


def find_pictures(tree: FileTree, leave_out: Collection[str] = ()) -> list[Picture]:
    """All pictures of a tree, in the order of their names.

    Args:
        tree: Where they are; files that are no pictures by their suffix are passed over.
        leave_out: Class folders to pass over, in any case of letters.

    Raises:
        InputError: A picture stands in no class folder, or in one that is none of the seven.
    """
    left_out = {folder.lower() for folder in leave_out}
    names = [name for name in tree.names() if name.lower().endswith(SUFFIXES)]
    found = (_picture(tree, name, left_out) for name in names)
    return [picture for picture in found if picture]


def _picture(tree: FileTree, name: str, left_out: Collection[str]) -> Picture | None:
    *above, folder, _ = ["", "", *name.split("/")]
    if folder.lower() in left_out:
        return None
    label = LABELS.get(folder.lower())
    if label is None:
        what = f"class folder {folder!r}" if folder else "the folder of a picture"
        raise InputError(
            f"{tree.path}: {what} must be one of {', '.join(CLASSES)} or a synonym, got {name!r}"
            + (f"; leave it out with data=folder 'data.leave_out=[{folder}]'" if folder else "")
        )
    return Picture(name, label, SPLIT_FOLDERS.get(above[-1].lower()))
