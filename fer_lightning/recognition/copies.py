"""Annotated copies of pictures and videos, in a folder of their own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from fer_lightning.errors import InputError, SettingError
from fer_lightning.files import whole_file
from fer_lightning.photos import Frame, Frames, Picture, VideoWriter
from fer_lightning.recognition.marking import annotated
from fer_lightning.recognition.recogniser import Face
from fer_lightning.recognition.tables import Found
from fer_lightning.recognition.tracks import Tracks

QUALITY = 92
Draw = Callable[[Frame, Sequence[Face]], None]


class Copies:
    """The folder that annotated copies go to.

    Args:
        folder: Where they are written; None writes none. A copy has the path of its original below
            the folder that the user named, and `_faces` after its name.

    Raises:
        SettingError: It is a file.
    """

    def __init__(self, folder: str | None) -> None:
        self.folder = None if folder is None else Path(folder).expanduser()
        self._written: set[Path] = set()
        if self.folder is not None and self.folder.exists() and not self.folder.is_dir():
            raise SettingError("pictures", "be a folder", folder)

    def picture(self, picture: Picture, found: Found, below: Path) -> None:
        """Write an annotated copy of a picture."""
        if self.folder is None:
            return
        path = self._path(below, ".jpg")
        image = Image.fromarray(annotated(picture.pixels, found.faces, picture.scale))
        with whole_file(path) as part:
            image.save(part, "JPEG", quality=QUALITY)

    @contextmanager
    def video(self, below: Path, frames: Frames, every: int, tracks: Tracks) -> Iterator[Draw]:
        """Yield what adds a frame to an annotated copy of a video; at the end, draw its timeline.

        Args:
            below: Path of the video below the folder that the user named.
            frames: The video.
            every: Of so many frames, one is added.
            tracks: The persons in it, who are drawn at the end.
        """
        if self.folder is None:
            yield lambda frame, faces: None
            return
        with VideoWriter(self._path(below, ".mp4"), frames.fps / every) as writer:
            try:
                yield lambda frame, faces: writer.add(annotated(frame.pixels, faces))
            finally:
                self._timeline(below, tracks, frames.name)

    def _timeline(self, below: Path, tracks: Tracks, name: str) -> None:
        from fer_lightning.plots import pixels
        from fer_lightning.recognition.timeline import timeline

        figure = timeline(tracks, Path(name).name)
        if figure is not None:
            path = self._path(below, ".png", "_timeline")
            with whole_file(path) as part:
                Image.fromarray(pixels(figure)).save(part, "PNG")

    def _path(self, below: Path, suffix: str, after: str = "_faces") -> Path:
        """Return a path for a copy that no other copy has, in a folder that is made."""
        assert self.folder is not None
        for i in range(1, 10_000):
            number = f"-{i}" if i > 1 else ""
            path = self.folder / below.with_name(f"{below.stem}{after}{number}{suffix}")
            if path not in self._written:
                break
        self._written.add(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from error
        return path
