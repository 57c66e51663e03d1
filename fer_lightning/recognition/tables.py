"""What was found, as lines for the terminal and as rows of csv and JSON lines."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from fer_lightning.data import CLASSES
from fer_lightning.errors import InputError, SettingError
from fer_lightning.recognition.recogniser import Face

SUFFIXES = (".csv", ".jsonl")
PLACE = ("left", "top", "right", "bottom")
COLUMNS = (
    *("source", "frame", "seconds", "face", "track"),
    *(*PLACE, "score", "expression", "probability", *CLASSES),
)


@dataclass(frozen=True)
class Found:
    """The faces of a picture or of a frame.

    Attributes:
        source: The file, or the camera.
        faces: From left to right.
        frame: Number of the frame, from 0; None of a picture.
        seconds: From the beginning of the video; None of a picture.
        tracks: Of each face, the number of the person that it is taken for, from 1; none of a
            picture.
    """

    source: str
    faces: Sequence[Face]
    frame: int | None = None
    seconds: float | None = None
    tracks: Sequence[int] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each face, by the names of `COLUMNS`."""
        return [
            {
                "source": self.source,
                "frame": self.frame,
                "seconds": None if self.seconds is None else round(self.seconds, 3),
                "face": i + 1,
                "track": self.tracks[i] if self.tracks else None,
                **{name: round(side, 1) for name, side in zip(PLACE, face.box, strict=True)},
                "score": round(face.score, 4),
                "expression": face.expression,
                "probability": round(face.probability, 4),
                **{name: round(p, 4) for name, p in face.probabilities.items()},
            }
            for i, face in enumerate(self.faces)
        ]

    def text(self) -> str:
        """Return lines for the terminal: the source, and below it its faces."""
        n = len(self.faces)
        head = f"{self.source}: " + (f"{n} face{'s' * (n > 1)}" if n else "no face found")
        return "\n".join([head, *(_line(i, face) for i, face in enumerate(self.faces, 1))])


def _line(number: int, face: Face) -> str:
    left, top, right, bottom = (round(side) for side in face.box)
    place = f"{left},{top} to {right},{bottom}"
    surest = sorted(face.probabilities.items(), key=lambda pair: -pair[1])[:3]
    told = ", ".join(f"{name} {p:.0%}" for name, p in surest if p >= 0.005)
    return f"  {number:2d}  {place:22s} {told}"


class Tables:
    """The files that rows are written to, as they come: a command that is stopped loses none.

    Args:
        out: A file that ends in .csv or .jsonl, or a folder, which gets `faces.csv` and
            `faces.jsonl`; None writes nothing.

    Raises:
        SettingError: It has another suffix.
        InputError: It cannot be written.
    """

    def __init__(self, out: str | None) -> None:
        self._files: list[IO[str]] = []
        for path in _paths(out):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._files.append(path.open("w", newline="", encoding="utf-8"))
            except OSError as error:
                raise InputError(f"{path}: cannot be written ({error.strerror})") from error
            if path.suffix == ".csv":
                csv.DictWriter(self._files[-1], COLUMNS).writeheader()

    def write(self, found: Found) -> None:
        """Add the faces of a picture or of a frame; one without faces has no row."""
        rows = found.rows()
        for file in self._files:
            if file.name.endswith(".csv"):
                csv.DictWriter(file, COLUMNS).writerows(rows)
            else:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()


def _paths(out: str | None) -> list[Path]:
    if out is None:
        return []
    path = Path(out).expanduser()
    if path.suffix in SUFFIXES:
        if path.is_dir():
            raise SettingError("out", "be a file or a folder without a suffix", out)
        return [path]
    if path.suffix or path.is_file():
        raise SettingError("out", "end in .csv or .jsonl, or be a folder", out)
    return [path / f"faces{suffix}" for suffix in SUFFIXES]
