"""The expressions in the frames of a video or of a camera."""

import sys
from pathlib import Path

from fer_lightning.photos import Frames, Picture
from fer_lightning.recognition.copies import Copies
from fer_lightning.recognition.progress import progress
from fer_lightning.recognition.recogniser import Recogniser
from fer_lightning.recognition.tables import Found, Tables
from fer_lightning.recognition.tracks import Tracks


def recognise_frames(
    recogniser: Recogniser,
    frames: Frames,
    tables: Tables,
    copies: Copies,
    every: int = 1,
    below: Path | None = None,
    live: bool = False,
) -> None:
    """Tell the expressions in the frames of a video, and who has them.

    What was found is also kept if it is interrupted, which is how a camera ends.

    Args:
        recogniser: Tells the expressions.
        frames: The video.
        tables: Where the rows go.
        copies: Where an annotated video and the figure go.
        every: Of so many frames, one is looked at.
        below: Path of the video below the folder that the user named; None of a camera.
        live: Whether to print what changes, as it changes.
    """
    tracks = Tracks()
    n_seen = n_frames = 0
    told: list[tuple[int, str]] = []
    n = -(-frames.n_frames // every)
    with (
        copies.video(below or Path(frames.name.replace(" ", "_")), frames, every, tracks) as draw,
        progress(frames.name, n) as advance,
    ):
        for frame in frames.every(every):
            faces = recogniser.in_picture(Picture(frame.pixels))
            numbers = tracks.follow(faces, frame.seconds)
            found = Found(frames.name, faces, frame.number, frame.seconds, numbers)
            tables.write(found)
            draw(frame, faces)
            advance()
            n_frames, n_seen = n_frames + 1, n_seen + bool(faces)
            now = [(k, face.expression) for k, face in zip(numbers, faces, strict=True)]
            if live and now != told:
                told = now
                print(f"{frame.seconds:7.2f} s  " + _told(found), flush=True)
    if not live:
        print(_summary(frames.name, n_frames, n_seen, tracks))
        sys.stdout.flush()


def _told(found: Found) -> str:
    each = zip(found.tracks, found.faces, strict=True)
    told = [f"person {k}: {face.expression} {face.probability:.0%}" for k, face in each]
    return ", ".join(told) or "no face found"


def _summary(name: str, n_frames: int, n_seen: int, tracks: Tracks) -> str:
    """Return lines on a video: how many frames have faces, and what each person mostly shows."""
    from fer_lightning.data import CLASSES

    persons = tracks.longest(9)
    n = len(tracks.seconds)
    who = f"{n} person{'s' * (n != 1)}"
    lines = [f"{name}: {n_frames:,} frames, {n_seen:,} with faces, {who}"]
    for person in sorted(persons):
        times, probabilities = tracks.smooth(person)
        means = sorted(zip(probabilities.mean(0), CLASSES, strict=True), reverse=True)[:3]
        told = ", ".join(f"{label} {p:.0%}" for p, label in means if p >= 0.005)
        lines.append(f"  person {person}, {times[0]:.1f} to {times[-1]:.1f} s: {told}")
    if n > len(persons):
        lines.append(f"  and {n - len(persons)} more")
    return "\n".join(lines)
