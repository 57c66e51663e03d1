"""Photos without faces, and faces put into them."""

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

WIDE, HIGH = 640, 480
PHOTOS = (
    *("coffee.png", "gravel.png", "brick.png", "motorcycle_left.png", "motorcycle_right.png"),
    *("hubble_deep_field.jpg", "moon.png", "grass.png", "retina.jpg", "ihc.png", "rocket.jpg"),
    *("chelsea.png", "page.png", "text.png", "cell.png", "horse.png", "clock_motion.png"),
    *("color.png", "logo.png"),
)


@functools.cache
def photos() -> list[np.ndarray]:
    """Return photos without faces, from the wheels of scikit-image and scikit-learn."""
    folders = {}
    for package, below in (("skimage", "data"), ("sklearn", "datasets/images")):
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise SystemExit("pip install scikit-image scikit-learn")
        folders[package] = Path(found.origin).parent / below
    paths = [folders["skimage"] / name for name in PHOTOS]
    paths += [folders["sklearn"] / name for name in ("china.jpg", "flower.jpg")]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def put(picture: np.ndarray, face: np.ndarray, side: int, x: int, y: int, tilt: float) -> None:
    """Put a face, (48, 48), into a picture, with soft edges."""
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    margin = side // 4
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), tilt, 1)
    turn[:, 2] += margin
    whole = (side + 2 * margin, side + 2 * margin)
    large = cv2.warpAffine(large, turn, whole)
    soft = max(1, side // 24) * 2 + 1
    mask = cv2.warpAffine(np.full((side, side), 255, np.uint8), turn, whole)
    mask = cv2.erode(mask, np.ones((soft, soft)), borderValue=0)
    mask = cv2.GaussianBlur(mask, (soft, soft), 0)[..., None] / 255
    rows = slice(max(y - margin, 0), min(y + side + margin, HIGH))
    columns = slice(max(x - margin, 0), min(x + side + margin, WIDE))
    inside = (
        slice(rows.start - y + margin, rows.stop - y + margin),
        slice(columns.start - x + margin, columns.stop - x + margin),
    )
    share = mask[inside]
    mixed = share * large[inside][..., None] + (1 - share) * picture[rows, columns]
    picture[rows, columns] = mixed.astype(np.uint8)


def scenes(
    faces: np.ndarray, side: int, tilt: float, n: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pictures with n faces each, side by side, and the boxes of these, (n, 4)."""
    behind = photos()
    for i in range(0, len(faces) - n + 1, n):
        picture = cv2.resize(behind[i // n % len(behind)], (WIDE, HIGH))
        boxes = []
        for k in range(n):
            part = WIDE // n
            x = int(k * part + rng.integers(0, part - side + 1))
            y = int(rng.integers(0, HIGH - side + 1))
            put(picture, faces[i + k], side, x, y, tilt * rng.choice([-1, 1]))
            boxes.append([x, y, x + side, y + side])
        yield picture, np.array(boxes)


def hits(found: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return which of the boxes that were found, (N, 4), are the face in a square, (N,).

    Their middle is at most a quarter of its side from its middle, and they are 0.3 to 1.5 times as
    large: faces do not always fill the pictures of FER2013.
    """
    side = box[2] - box[0]
    away = np.abs(found[:, :2] + found[:, 2:] - box[:2] - box[2:]).max(1) / 2
    sizes = np.sqrt((found[:, 2:] - found[:, :2]).prod(1))
    near: np.ndarray = (away < side / 4) & (sizes > 0.3 * side) & (sizes < 1.5 * side)
    return near
