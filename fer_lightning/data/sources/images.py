"""Picture files decoded to grey levels of one size, in parallel."""

import io
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from fer_lightning.errors import InputError
from fer_lightning.files import FileTree, open_tree
from fer_lightning.machine import n_cores

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".webp")
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP")
MAX_PIXELS = 64 * 2**20
MIN_CHUNK = 512
HELD_FILES, HELD_BYTES = 16384, 2**27  # of a stream, that are held at once

Item = TypeVar("Item")


def decode(data: bytes, name: str, size: int) -> np.ndarray:
    """Return the grey levels of a picture of any size and colour, (size, size), uint8.

    Colours become grey by ITU-R 601-2; another size is resampled with an antialiasing filter.

    Raises:
        InputError: It is not a picture, or a damaged one, or has more than 64 Mi pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes, which are checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decoded(image, name, size)
    except InputError:
        raise
    except Exception as error:  # each of the decoders has exceptions of its own for a damaged file
        raise InputError(
            f"{name}: not a readable picture ({error or type(error).__name__})"
        ) from error


def _decoded(image: Image.Image, name: str, size: int) -> np.ndarray:
    if image.width * image.height > MAX_PIXELS:
        size_given = f"{image.width}x{image.height}"
        raise InputError(f"{name}: must have at most {MAX_PIXELS} pixels, got {size_given}")
    grey = _to_grey(image)
    if grey.size != (size, size):
        grey = grey.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(grey)


def _to_grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, which `convert` would clip
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    return image.convert("L")


def resampled(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return grey levels, (N, H, W) uint8, at another size, (N, size, size).

    Faces of that size are returned as they are.
    """
    if pixels.shape[1:] == (size, size):
        return pixels
    return in_parallel(partial(_resample, size), list(pixels))


def _resample(size: int, pixels: Sequence[np.ndarray]) -> np.ndarray:
    lanczos = Image.Resampling.LANCZOS
    faces = [np.asarray(Image.fromarray(p).resize((size, size), lanczos)) for p in pixels]
    return np.array(faces, dtype=np.uint8).reshape(-1, size, size)


def decode_files(path: Path, names: Sequence[str], size: int) -> np.ndarray:
    """Return the grey levels of pictures in a folder or an archive, (N, size, size), uint8.

    Files of a folder or a zip archive are read where they are decoded; a tar archive, which can be
    read from its beginning only, is read once, and its files are handed out.

    Raises:
        InputError: One of them cannot be read; the message names it.
    """
    tree = open_tree(path)
    if not tree.is_stream:
        return in_parallel(partial(_decode_chunk, path, size), names)
    rows = {name: row for row, name in enumerate(names)}
    pixels = np.empty((len(names), size, size), dtype=np.uint8)
    for held in _held(tree, names):
        decoded = in_parallel(partial(_decode_held, path, size), held)
        pixels[[rows[name] for name, _ in held]] = decoded
    return pixels


def _held(tree: FileTree, names: Sequence[str]) -> Iterator[list[tuple[str, bytes]]]:
    """Yield files with their content, as many at a time as may be held in memory."""
    held: list[tuple[str, bytes]] = []
    n_bytes = 0
    for name in tree.in_stored_order(names):
        held.append((name, tree.read(name)))
        n_bytes += len(held[-1][1])
        if len(held) == HELD_FILES or n_bytes >= HELD_BYTES:
            yield held
            held, n_bytes = [], 0
    if held:
        yield held


def _decode_held(path: Path, size: int, files: Sequence[tuple[str, bytes]]) -> np.ndarray:
    return np.stack([decode(content, f"{path}: {name}", size) for name, content in files])


def _decode_chunk(path: Path, size: int, names: Sequence[str]) -> np.ndarray:
    tree = open_tree(path)
    return np.stack([decode(tree.read(name), f"{path}: {name}", size) for name in names])


def in_parallel(
    function: Callable[[Sequence[Item]], np.ndarray], items: Sequence[Item]
) -> np.ndarray:
    """Apply a function to chunks of the items, on all cores if forking is safe; join the results.

    Elsewhere (macOS, Windows) this process works on all items: starting fresh interpreters there
    would run the caller's script again.
    """
    workers = min(n_cores(), len(items) // MIN_CHUNK) if _forks() else 1
    if workers <= 1:
        return function(items)
    size = -(-len(items) // (2 * workers))  # two chunks a worker even out an uneven load
    chunks = [items[i : i + size] for i in range(0, len(items), size)]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return np.concatenate(list(pool.map(function, chunks)))


def _forks() -> bool:
    return hasattr(os, "sched_getaffinity") and not multiprocessing.current_process().daemon
