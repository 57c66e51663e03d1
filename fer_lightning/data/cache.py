"""Decoded faces kept on disk, so that a data set is decoded once."""

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock

from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.faces import Faces, FaceSplits, Source
from fer_lightning.data.splitting import SPLITS
from fer_lightning.errors import InputError, require_path
from fer_lightning.files import Folder, whole_file

VERSION = 2  # of the decoders and of the cache's own format; a new one makes all old files unused
FIELDS = ("images", "labels", "subjects", "index")
TARGETS = "targets"  # which not all faces have

log = logging.getLogger(__name__)


def load(source: Source, cache_dir: str | Path | None) -> FaceSplits:
    """Return the faces of a source in canonical order, from the cache if they are there.

    A decoded set is filed under a hash of the content of the source's files and of its settings. A
    second file remembers that hash for the files as they lie there (names, sizes, times, inodes),
    so that the next start reads no more than it needs. Files are written whole under another name
    and then renamed; of processes that start together, one decodes, and the others wait for it.

    Args:
        source: Where the faces come from.
        cache_dir: Folder of the cache, or None to decode every time.

    Raises:
        InputError: The source cannot be read.
    """
    try:
        if cache_dir is None:
            return source.read().in_canonical_order()
        require_path("cache_dir", cache_dir, "a folder, or null")
        return _load_kept(source, Path(cache_dir).expanduser())
    except OSError as error:  # one of the source's files; trouble with the cache's own is handled
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _load_kept(source: Source, folder: Path) -> FaceSplits:
    seen = folder / f"{source.name}-{_look(source)}.seen"
    key = _remembered(seen) or _content_key(source)
    kept = folder / f"{source.name}-{key}.npz"
    faces = _read(kept)
    if faces is None:
        with _turn(kept):
            faces = _read(kept)
            if faces is None:
                faces = source.read().in_canonical_order()
                _keep(kept, seen, key, faces)
    if not seen.exists():
        _keep(kept, seen, key, None)
    return faces


@contextmanager
def _turn(kept: Path) -> Iterator[None]:
    """Let only one process at a time decode a data set, where the folder allows file locks.

    Files that a killed process left half-written are then removed.
    """
    path = kept.with_name(f".{kept.stem}.lock")
    lock = FileLock(path)
    with suppress(OSError, NotImplementedError):  # no harm: they decode side by side
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        for part in kept.parent.glob(f".{kept.name}.*.part"):
            part.unlink()
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()  # unless there is something in it


def _settings(source: Source) -> str:
    settings = dataclasses.asdict(source)  # type: ignore[call-overload]
    for place in ("path", "labels"):  # the content counts, wherever it lies
        if settings.get(place) is not None:
            settings[place] = True
    return json.dumps([VERSION, source.name, settings], default=list)


def _walk(source: Source) -> Iterator[tuple[str, Path]]:
    """Yield the files of a source with their names relative to it, in the order of these names."""
    for top in source.files():
        if top.is_dir():
            yield from ((name, top / name) for name in Folder(top).names())
        else:
            yield top.suffix, top


def _look(source: Source) -> str:
    """Return a hash of the settings and of the files' metadata, without reading the files."""
    digest = hashlib.sha256(_settings(source).encode())
    for name, path in _walk(source):
        stat = path.stat()
        look = (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)
        digest.update(repr(look).encode())
    return digest.hexdigest()[:32]


def _content_key(source: Source) -> str:
    """Return a hash of the settings and of the content of the files."""
    digest = hashlib.sha256(_settings(source).encode())
    for name, path in _walk(source):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name} {content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _remembered(seen: Path) -> str | None:
    """Return the hash in a `.seen` file of the cache, or None if the file is missing or damaged."""
    try:
        key = seen.read_bytes()[:33].decode("ascii")
    except (OSError, ValueError):
        return None
    return key if re.fullmatch("[0-9a-f]{32}", key) else None  # it becomes a part of a path


def _read(kept: Path) -> FaceSplits | None:
    """Return the faces in a file of the cache, or None if the file is missing or damaged."""
    try:
        with kept.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return FaceSplits(*(_faces(arrays, split) for split in SPLITS))
    except FileNotFoundError:
        return None
    except Exception as error:  # zip, zlib and NumPy each fail in their own way on damage
        log.warning("%s: damaged (%s); decoding the faces again", kept, error)
        return None


def _faces(arrays: Mapping[str, np.ndarray], split: str) -> Faces:
    images, labels, subjects, index = (arrays[f"{split}_{field}"] for field in FIELDS)
    if not len(images) == len(labels) == len(subjects) == len(index):
        raise ValueError(f"arrays of {split} differ in length")
    if not np.isin(labels, range(len(CLASSES))).all():
        raise ValueError(f"labels of {split} are no classes")
    if images.ndim != 4 or images.shape[1] != 1 or images.shape[2] != images.shape[3]:
        raise ValueError(f"images of {split} are no faces")
    name = f"{split}_{TARGETS}"
    targets = arrays.get(name)
    if targets is not None and targets.shape != (len(labels), len(CLASSES)):
        raise ValueError(f"targets of {split} are no probabilities of classes")
    return Faces.from_arrays(images, labels, subjects, index, targets)


def _keep(kept: Path, seen: Path, key: str, faces: FaceSplits | None) -> None:
    """Write the faces, if given, and then the `.seen` file with the hash that finds them."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if faces is not None:
            arrays = {
                f"{split}_{field}": getattr(part, field).numpy()
                for split, part in faces
                for field in (*FIELDS, *([TARGETS] if part.targets is not None else []))
            }
            with whole_file(kept) as path, path.open("wb") as file:
                np.savez(file, **arrays)
            log.info("decoded faces are kept in %s (data.cache_dir)", kept)
        with whole_file(seen) as path:
            path.write_text(key)
    except OSError as error:
        log.warning("%s: cannot be written (%s); going on without it", kept, error.strerror)
