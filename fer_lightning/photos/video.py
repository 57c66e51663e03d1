"""The frames of a video file or of a camera."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fer_lightning.errors import InputError
from fer_lightning.photos.detector import MISSING
from fer_lightning.photos.given_files import require_file
from fer_lightning.photos.pictures import MAX_PIXELS

if TYPE_CHECKING:
    from cv2 import VideoCapture

PLAYLISTS = (b"#EXTM3U", b"ffconcat")
DEFAULT_FPS = 25.0  # of a video that does not say


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of a video.

    Attributes:
        number: From 0.
        seconds: From the beginning of the video.
        pixels: Red, green and blue, (H, W, 3), uint8.
    """

    number: int
    seconds: float
    pixels: np.ndarray


class Frames:
    """The frames of a source, one after another; a context, at whose end the source is closed.

    Args:
        source: What OpenCV opens: a path, or the number of a camera.
        name: What the user calls it.

    Attributes:
        fps: Frames a second.
        size: Width and height, in pixels.
        n_frames: How many there are, as far as the file says; 0 if it does not.

    Raises:
        InputError: It cannot be opened.
    """

    def __init__(self, source: str | int, name: str) -> None:
        cv2 = _cv2()
        self.name = name
        # a file is no pattern of names of pictures, as OpenCV would else take %d in it
        by = cv2.CAP_FFMPEG if isinstance(source, str) else cv2.CAP_ANY
        logging = cv2.utils.logging
        before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # what fails is told here
        self._capture: VideoCapture = cv2.VideoCapture(source, by)
        logging.setLogLevel(before)
        if not self._capture.isOpened():
            raise InputError(f"{name}: cannot be opened as a video")
        get = self._capture.get
        fps = get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps <= 1000 else DEFAULT_FPS
        self.size = (int(get(cv2.CAP_PROP_FRAME_WIDTH)), int(get(cv2.CAP_PROP_FRAME_HEIGHT)))
        self.n_frames = max(0, int(get(cv2.CAP_PROP_FRAME_COUNT)))
        if self.size[0] * self.size[1] > MAX_PIXELS:
            self._capture.release()
            rule = f"must have frames of at most {MAX_PIXELS} pixels"
            raise InputError(f"{name}: {rule}, got {self.size[0]}x{self.size[1]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def every(self, step: int) -> Iterator[Frame]:
        """Yield each `step`-th frame.

        Raises:
            InputError: There is not one.
        """
        cv2 = _cv2()
        number = 0
        while self._capture.grab():
            if number % step == 0:
                there, pixels = self._capture.retrieve()
                if not there:
                    break
                yield Frame(number, number / self.fps, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
            number += 1
        if not number:
            raise InputError(f"{self.name}: a video without a frame that can be read")


def open_video(path: Path) -> Frames:
    """Return the frames of a video file, turned as the file says.

    Raises:
        InputError: It is no file, or no video that can be read.
    """
    require_file(path)
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(PLAYLISTS):  # which could name any file, and have no end
        raise InputError(f"{path}: must be a video, got a list of others")
    return Frames(str(path.absolute()), str(path))


def open_camera(number: int) -> Frames:
    """Return the frames of a camera of this machine, from 0.

    Raises:
        InputError: There is no such camera.
    """
    try:
        return Frames(number, f"camera {number}")
    except InputError as error:
        raise InputError(f"camera must be the number of a camera, got {number}") from error


class VideoWriter:
    """Writes a video without sound, as MPEG-4; a context, at whose end it is complete.

    Args:
        path: The file.
        fps: Frames a second.

    Raises:
        InputError: It cannot be written.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, fps
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()

    def add(self, pixels: np.ndarray) -> None:
        """Add a frame, red, green and blue, (H, W, 3), uint8; all have the size of the first."""
        cv2 = _cv2()
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            size = (pixels.shape[1], pixels.shape[0])
            self._writer = cv2.VideoWriter(str(self.path), code, self.fps, size)
            if not self._writer.isOpened():
                raise InputError(f"{self.path}: cannot be written as a video")
        self._writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def _cv2() -> Any:
    """Return OpenCV, whose codecs say nothing of their own on the terminal."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise InputError(MISSING) from error
    return cv2
