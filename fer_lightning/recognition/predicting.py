"""The expressions of the faces in files, folders, videos and from a camera."""

import logging
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.errors import InputError, one_line, require, require_integer, require_number
from fer_lightning.photos import (
    SUFFIXES,
    VIDEO_SUFFIXES,
    FaceDetector,
    Picture,
    is_video,
    named_files,
    open_camera,
    open_video,
    read_picture,
)
from fer_lightning.recognition.copies import Copies
from fer_lightning.recognition.progress import progress
from fer_lightning.recognition.recogniser import FACES, Recogniser
from fer_lightning.recognition.tables import Found, Tables
from fer_lightning.recognition.videos import recognise_frames

AHEAD = 4  # pictures that are decoded while another is looked at

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Named:
    """A file that is to be looked at.

    Attributes:
        path: Where it is.
        below: Its path below the folder that the user named, or its name.
    """

    path: Path
    below: Path


def recognise(config: DictConfig) -> None:
    """Find the faces in what a configuration names, and tell their expressions.

    A file that cannot be read is told in one line, and the others go on.

    Args:
        config: The composed configuration of `conf/predict.yaml`.

    Raises:
        InputError: A setting breaks its rule, or some of the files could not be read.
    """
    _check(config)
    copies = Copies(config.pictures)
    with Tables(config.out) as tables:
        recogniser = _recogniser(config)
        if config.camera is not None:
            with open_camera(config.camera) as frames:
                recognise_frames(recogniser, frames, tables, copies, config.every, live=True)
        files, n_failed = _named(config.sources)
        videos = [file for file in files if is_video(file.path)]
        pictures = [file for file in files if not is_video(file.path)]
        n_failed += _pictures(recogniser, pictures, config, tables, copies)
        for file in videos:
            try:
                with open_video(file.path) as frames:
                    recognise_frames(recogniser, frames, tables, copies, config.every, file.below)
            except InputError as error:
                log.error("%s", one_line(error))
                n_failed += 1
    if n_failed:
        raise InputError(f"failed: {n_failed} of the files or folders")


def _check(config: DictConfig) -> None:
    given = len(config.sources) > 0 or config.camera is not None
    require(given, "sources", "be given: pictures, videos or folders, or --camera 0", [])
    require(config.faces in FACES, "faces", f"be one of {', '.join(FACES)}", config.faces)
    require_integer("every", config.every, 1)
    if config.camera is not None:
        require_integer("camera", config.camera, 0)
    require_number("detector.threshold", config.detector.threshold, 0, below=1)


def _recogniser(config: DictConfig) -> Recogniser:
    detector = None
    if config.faces == "found" or config.camera is not None:
        thresholds = (0.5, 0.5, config.detector.threshold)
        detector = FaceDetector(config.detector.min_face, config.detector.max_side, thresholds)
    recogniser = Recogniser.load(
        config.weights, which=config.checkpoint, detector=detector, device=_device(config.device)
    )
    if not recogniser.calibrated:
        remedy = f"python -m fer_lightning.evaluate {recogniser.name} split=val"
        log.warning("%s: probabilities are as trained; %s fits them", recogniser.name, remedy)
    return recogniser


def _device(name: str) -> str:
    import torch

    require(name in ("auto", "cpu", "cuda"), "device", "be one of auto, cpu, cuda", name)
    there = torch.cuda.is_available()
    if name == "cuda":
        require(there, "device", "be cpu: there is no CUDA device here", name)
    return "cuda" if there and name != "cpu" else "cpu"


def _named(sources: Iterable[str]) -> tuple[list[Named], int]:
    """Return the files that a user names, and how many of the names stand for none."""
    files: list[Named] = []
    n_failed = 0
    for source in sources:
        path = Path(str(source)).expanduser()
        if not path.is_dir():
            files.append(Named(path, Path(path.name)))
            continue
        found = list(named_files(path, (*SUFFIXES, *VIDEO_SUFFIXES)))
        files += [Named(file, file.relative_to(path)) for file in found]
        if not found:
            log.error("%s: a folder without pictures or videos", path)
            n_failed += 1
    return files, n_failed


def _pictures(
    recogniser: Recogniser, files: list[Named], config: DictConfig, tables: Tables, copies: Copies
) -> int:
    """Look at pictures, one after another, and return how many could not be read."""
    n_failed = 0
    with progress("pictures", len(files)) as advance:
        for file, read in _decoded(files):
            try:
                picture = read.result()
            except InputError as error:
                log.error("%s", one_line(error))
                n_failed += 1
                continue
            finally:
                advance()
            found = Found(str(file.path), recogniser.in_picture(picture, config.faces))
            print(found.text() + (f" ({picture.note})" if picture.note else ""))
            sys.stdout.flush()
            tables.write(found)
            copies.picture(picture, found, file.below)
    return n_failed


def _decoded(files: list[Named]) -> Iterator[tuple[Named, "Future[Picture]"]]:
    """Yield files with their pictures, of which a few are read ahead."""
    waiting: list[tuple[Named, Future[Picture]]] = []
    left = iter(files)
    with ThreadPoolExecutor(1) as pool:
        while True:
            ahead = islice(left, AHEAD - len(waiting))
            waiting += [(file, pool.submit(read_picture, file.path)) for file in ahead]
            if not waiting:
                return
            yield waiting.pop(0)
