"""A picture at ever smaller sizes, and squares cut out of the size that has just enough pixels."""

from collections.abc import Sequence

import numpy as np

FINER = 2  # times: how much finer than a crop the picture is that it is cut out of
OCTAVE = 3  # levels of the pyramid from a picture to one that is half as large
SHRINK = 2 ** (-1 / OCTAVE)
LEAST_SIDE = 12  # of the smallest level, in pixels
Level = tuple[float, np.ndarray]  # how large a picture is beside the whole, and the picture


def pyramid_of(picture: np.ndarray) -> list[Level]:
    """Return a picture at ever smaller scales, with the scales; every third is half as large."""
    import cv2

    levels: list[Level] = [(1.0, picture)]
    while min(levels[-1][1].shape[:2]) * SHRINK >= LEAST_SIDE:
        above, whole = levels[max(0, len(levels) - OCTAVE)]
        scale = SHRINK ** len(levels)
        size = tuple(int(np.ceil(side * scale / above)) for side in whole.shape[1::-1])
        levels.append((scale, cv2.resize(whole, size, interpolation=cv2.INTER_AREA)))
    return levels


def cut_out(pyramid: Sequence[Level], squares: np.ndarray, side: int) -> np.ndarray:
    """Return squares of a picture, (N, 4), as pictures of one size, (N, side, side, 3).

    Each is cut out of the smallest level that has it `FINER` times as large, as sides are whole
    pixels there. What lies outside is black.
    """
    crops = np.zeros((len(squares), side, side, 3), np.uint8)
    scales = np.array([scale for scale, _ in pyramid])
    enough = np.outer(squares[:, 2] - squares[:, 0], scales) >= FINER * side
    for crop, square, level in zip(crops, squares, enough.sum(1) - 1, strict=True):
        scale, picture = pyramid[max(level, 0)]
        _cut_one(picture, np.rint(square * scale).astype(int), crop)
    return crops


def _cut_one(picture: np.ndarray, square: np.ndarray, crop: np.ndarray) -> None:
    import cv2

    left, top, right, bottom = square
    height, width = picture.shape[:2]
    inside = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not inside.size:
        return
    if inside.shape[:2] != (bottom - top, right - left):
        margins = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
        inside = cv2.copyMakeBorder(inside, *margins, cv2.BORDER_CONSTANT)
    cv2.resize(inside, crop.shape[:2], dst=crop, interpolation=cv2.INTER_AREA)
