"""The Toronto Face Dataset (Susskind et al., 2010), in its two formats."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.faces import Faces, FaceSplits, existing_path, require_faces
from fer_lightning.data.image_size import SIZE, require_image_size
from fer_lightning.data.sources.images import resampled
from fer_lightning.data.splitting import SPLITS
from fer_lightning.errors import InputError, SettingError, require_integer
from fer_lightning.files import read_mat, require_modest

N_FOLDS = 5
NPZ_SPLITS = ("train", "valid", "test")
MAX_BYTES = 2**31  # of all arrays; those of TFD have 0.3 * 2**30


@dataclass(frozen=True)
class Tfd:
    """The labelled faces of TFD.

    Args:
        path: `toronto_face.npz`, which has its own splits, or `TFD_48x48.mat`.
        fold: Which of the five official folds of the .mat file, 0 to 4.
        image_size: Side of the faces in pixels, to which they are resampled.

    Raises:
        InputError: Nothing is there, it ends in neither .npz nor .mat, or there is no such fold.
    """

    name: ClassVar[str] = "tfd"
    path: str | Path | None
    fold: int = 0
    image_size: int = SIZE

    def __post_init__(self) -> None:
        require_integer("fold", self.fold, 0, N_FOLDS - 1)
        require_image_size(self.image_size)
        if self.files()[0].suffix.lower() not in (".npz", ".mat"):
            raise SettingError("path", "end in .npz or .mat", str(self.path))

    def files(self) -> list[Path]:
        """Return the file that the faces are read from."""
        return [existing_path(self.path, "toronto_face.npz or TFD_48x48.mat")]

    def read(self) -> FaceSplits:
        """Read all labelled faces.

        Raises:
            InputError: The file is not what it should be; the message names the array and the row.
        """
        path = self.files()[0]
        if path.suffix.lower() == ".npz":
            return _read_npz(path, self.image_size)
        return _read_mat(path, self.fold, self.image_size)


def _read_npz(path: Path, image_size: int) -> FaceSplits:
    names = [f"{kind}_{split}" for split in NPZ_SPLITS for kind in ("inputs", "target")]
    arrays = _load_arrays(path, names, _open_npz)
    return FaceSplits(*(_npz_split(path, arrays, split, image_size) for split in NPZ_SPLITS))


def _npz_split(path: Path, arrays: Mapping[str, np.ndarray], split: str, image_size: int) -> Faces:
    pixels = _pixels(arrays[f"inputs_{split}"], f"{path}: inputs_{split}")
    labels = _labels(arrays[f"target_{split}"], f"{path}: target_{split}", first=0)
    _require_length(f"{path}: target_{split}", labels, pixels, f"inputs_{split}")
    if not len(labels):
        raise InputError(f"{path}: inputs_{split} must have faces, got none")
    return Faces.from_arrays(resampled(pixels, image_size), labels)


def _read_mat(path: Path, fold: int, image_size: int) -> FaceSplits:
    arrays = _load_arrays(path, ["images", "labs_ex", "labs_id", "folds"], _open_mat)
    images = arrays["images"]
    folds = arrays["folds"]
    if folds.ndim != 2 or folds.shape[1] != N_FOLDS:
        raise InputError(f"{path}: folds must be (N, {N_FOLDS}), got {folds.shape}")
    splits = _whole_numbers(folds[:, fold], f"{path}: folds", 0, len(SPLITS))
    people = _column(arrays["labs_id"], f"{path}: labs_id")
    for name, array in (("labs_ex", arrays["labs_ex"]), ("labs_id", people), ("folds", folds)):
        _require_length(f"{path}: {name}", array, images, "images")
    used = np.flatnonzero(splits)  # 0 marks the unlabelled faces
    pixels = resampled(_pixels(images, f"{path}: images")[used], image_size)
    labels = _labels(arrays["labs_ex"], f"{path}: labs_ex", first=1, rows=used)
    subjects = _whole_numbers(people, f"{path}: labs_id", -1, 2**31)[used]
    split_names = np.array(["", *SPLITS])[splits[used]]
    require_faces(split_names, f"{path}: fold {fold}")
    rows = [np.flatnonzero(split_names == split) for split in SPLITS]
    return FaceSplits(
        *(Faces.from_arrays(pixels[r], labels[r], subjects[r], used[r]) for r in rows)
    )


def _open_npz(path: Path, names: list[str]) -> Mapping[str, Any]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: not an npz file, or a truncated one")
    with zipfile.ZipFile(path) as archive:
        require_modest(archive, path, MAX_BYTES)
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: _load_array(path, arrays, name) for name in names if name in arrays}


def _load_array(path: Path, arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return arrays[name]
    except ValueError as error:
        if "pickle" in str(error):
            raise InputError(
                f"{path}: array {name} needs pickle, which could run code and is never loaded; "
                "save it again as plain numbers"
            ) from error
        raise


def _open_mat(path: Path, names: list[str]) -> Mapping[str, Any]:
    return read_mat(path, names, MAX_BYTES)


def _load_arrays(
    path: Path, names: list[str], load: Callable[[Path, list[str]], Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """Return the named arrays of a file; raise an `InputError` if one is missing or damaged."""
    try:
        found = load(path, names)
    except InputError:
        raise
    except Exception as error:  # zip, zlib, NumPy and SciPy each fail in their own way on damage
        kind = path.suffix.lower()[1:]
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{path}: not a readable {kind} file, or a truncated one ({reason})"
        ) from error
    for name in names:
        if name not in found:
            raise InputError(f"{path}: array {name} is missing")
    return {name: np.asarray(found[name]) for name in names}


def _pixels(array: np.ndarray, where: str) -> np.ndarray:
    """Return the grey levels as (N, 48, 48) uint8."""
    if array.ndim not in (2, 3) or array.shape[1:] not in ((SIZE * SIZE,), (SIZE, SIZE)):
        raise InputError(
            f"{where} must be (N, {SIZE * SIZE}) or (N, {SIZE}, {SIZE}), got {array.shape}"
        )
    levels = _whole_numbers(array.reshape(len(array), SIZE * SIZE), where, 0, 255)
    return levels.astype(np.uint8).reshape(-1, SIZE, SIZE)


def _labels(
    array: np.ndarray, where: str, first: int, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return labels that count from 0, (N,), from an array that counts classes from `first`."""
    column = _column(array, where)
    values = column if rows is None else column[rows]
    return _whole_numbers(values, where, first, first + len(CLASSES) - 1, rows) - first


def _column(array: np.ndarray, where: str) -> np.ndarray:
    """Return an array of shape (N,), (N, 1) or (1, N) as (N,)."""
    if array.ndim != 1 and not (array.ndim == 2 and 1 in array.shape):
        raise InputError(f"{where} must be (N,) or (N, 1), got {array.shape}")
    return array.reshape(-1)


def _whole_numbers(
    array: np.ndarray, where: str, minimum: int, maximum: int, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return an array of whole numbers as int64; raise an `InputError` for any other value.

    The message names the first row with a value that is not whole or outside minimum..maximum.
    """
    if array.dtype.kind not in "uifb":
        raise InputError(f"{where} must be numbers, got {array.dtype}")
    if array.dtype == np.uint8 and (minimum, maximum) == (0, 255):
        return array
    wrong = ~((array >= minimum) & (array <= maximum))  # true for NaN
    if array.dtype.kind == "f":
        wrong |= array != np.floor(array)
    if wrong.any():
        place = np.unravel_index(wrong.argmax(), array.shape)
        row = place[0] if rows is None else rows[place[0]]
        raise InputError(
            f"{where} must be whole numbers {minimum}..{maximum}, got {array[place]} in row {row}"
        )
    return array.astype(np.int64)


def _require_length(what: str, array: np.ndarray, other: np.ndarray, other_name: str) -> None:
    if len(array) != len(other):
        raise InputError(
            f"{what} must have as many rows as {other_name} ({len(other)}), got {len(array)}"
        )
