"""Faces cut out of a picture as the data sets have them: square, upright, grey."""

import math

import numpy as np

from fer_lightning.photos.detector import Detections

# Side of a crop, as a multiple of the mean side of the box, and how far a face may be tilted, in
# degrees, before its crop is turned; docs/photos.md tells how they were chosen.
MARGIN = 1.0
UPRIGHT = 8.0


def crops(picture: np.ndarray, faces: Detections, size: int = 48) -> np.ndarray:
    """Return faces cut out of a picture, (N, size, size), uint8.

    A crop is a square around the middle of a face's box; the edges of the picture go on outside of
    it. A face that is tilted is turned upright by its eyes.

    Args:
        picture: Red, green and blue, (H, W, 3), uint8.
        faces: Their places in it.
        size: Side of a crop, in pixels.
    """
    cut = np.empty((len(faces), size, size), np.uint8)
    for row, (x, y, side, tilt) in enumerate(squares(faces)):
        cut[row] = _crop(picture, x, y, side, tilt, size)
    return cut


def squares(faces: Detections) -> np.ndarray:
    """Return middle, side and tilt of the square that is cut out of each face, (N, 4).

    The tilt is in radians, 0 where it is too small to be turned.
    """
    boxes, eyes = faces.boxes, faces.landmarks[:, 1] - faces.landmarks[:, 0]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = MARGIN * np.sqrt((boxes[:, 2:] - boxes[:, :2]).clip(1).prod(1))
    tilts = np.arctan2(eyes[:, 1], eyes[:, 0])
    tilts[np.abs(tilts) < math.radians(UPRIGHT)] = 0
    return np.column_stack([middles, sides, tilts])


def _crop(
    picture: np.ndarray, x: float, y: float, side: float, tilt: float, size: int
) -> np.ndarray:
    """Return the grey levels, (size, size), of a tilted square around a place in a picture."""
    import cv2

    # Sampled as fine as the picture is, then made small by means over areas.
    fine = size * max(1, math.ceil(side / size))
    step = side / fine
    across = step * np.array([math.cos(tilt), math.sin(tilt)])
    down = np.array([-across[1], across[0]])
    corner = np.array([x, y]) - 0.5 - (fine - 1) / 2 * (across + down)
    warp = np.column_stack([across, down, corner])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(
        picture, warp, (fine, fine), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    small = cv2.resize(found, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
