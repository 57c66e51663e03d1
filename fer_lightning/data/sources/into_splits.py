"""Faces of a csv file, in its official splits or in drawn ones."""

import logging
from collections.abc import Callable

import numpy as np

from fer_lightning.data.class_names import ClassNames
from fer_lightning.data.faces import Faces, FaceSplits, require_faces
from fer_lightning.data.sources.csv_table import read_table
from fer_lightning.data.sources.drawn_splits import DrawnSplits
from fer_lightning.data.sources.ferplus_votes import Votes
from fer_lightning.data.splitting import SPLITS
from fer_lightning.files import FileTree

log = logging.getLogger(__name__)


def table_faces(
    tree: FileTree,
    name: str,
    where: str,
    names: ClassNames,
    draw: DrawnSplits,
    image_size: int,
    votes: Votes | None = None,
) -> FaceSplits:
    """Return the faces of a csv file; without official splits they are drawn, which is logged.

    Args:
        tree: Where the file is.
        name: Its name there.
        where: Its name in messages.
        names: What its labels mean.
        draw: How splits are drawn where there are none.
        image_size: Side of the faces in pixels.
        votes: What takes the place of the labels, or None.

    Raises:
        InputError: A row is not what it should be, or a split has no faces.
    """
    table = read_table(tree, name, where, names, image_size)
    if votes is not None:
        table = votes.joined(table, where)
    unknown = np.full(len(table.labels), -1)
    splits = table.splits
    if splits is None:
        splits = draw.complete(np.full(len(unknown), "train"), table.labels, unknown)
        sizes = ", ".join(f"{(splits == split).sum():,} {split}" for split in SPLITS)
        told = "%s has no column Usage: its splits are drawn by class with data.seed=%d: %s"
        log.info(told, where, draw.seed, sizes)
    return split_by_name(
        splits,
        lambda: table.pixels,
        table.labels,
        unknown,
        where,
        table.index,
        table.targets,
    )


def split_by_name(
    splits: np.ndarray,
    decode: Callable[[], np.ndarray],
    labels: np.ndarray,
    subjects: np.ndarray,
    where: str,
    index: np.ndarray | None = None,
    targets: np.ndarray | None = None,
) -> FaceSplits:
    """Return faces in their splits.

    Args:
        splits: Name of the split of each face, (N,).
        decode: Returns the grey levels, (N, size, size), once all else is known to be right.
        labels: (N,).
        subjects: (N,).
        where: The data set, for messages.
        index: Position of each face in the source, (N,), if it isn't the place here.
        targets: Probabilities of the classes, (N, 7), or None.

    Raises:
        InputError: A split has no faces.
    """
    require_faces(splits, where)
    pixels = decode()
    index = np.arange(len(labels)) if index is None else index

    def faces(rows: np.ndarray) -> Faces:
        soft = None if targets is None else targets[rows]
        return Faces.from_arrays(pixels[rows], labels[rows], subjects[rows], index[rows], soft)

    return FaceSplits(*(faces(np.flatnonzero(splits == split)) for split in SPLITS))
