"""Boxes around faces, rows of left, top, right and bottom, and which of them are of one face."""

import numpy as np


def shifted(boxes: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return boxes, (N, 4), with their sides moved by parts of their width and height, (N, 4)."""
    return boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def squares_around(boxes: np.ndarray) -> np.ndarray:
    """Return squares around the middles of boxes, (N, 4), with the longer of their sides."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2
    return np.hstack([middles - halves, middles + halves])


def distinct(boxes: np.ndarray, threshold: float, of_smaller: bool = False) -> np.ndarray:
    """Return the rows of boxes that no better one overlaps, the best first.

    Args:
        boxes: Sides and score of each, (N, 5).
        threshold: The most that two boxes may overlap.
        of_smaller: Whether the overlap is a share of the smaller box, rather than of both together.
    """
    left, top, right, bottom, scores = boxes.T
    areas = (right - left) * (bottom - top)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        width = np.minimum(right[best], right[order]) - np.maximum(left[best], left[order])
        height = np.minimum(bottom[best], bottom[order]) - np.maximum(top[best], top[order])
        shared = width.clip(0) * height.clip(0)
        smaller = np.minimum(areas[best], areas[order])
        whole = smaller if of_smaller else areas[best] + areas[order] - shared
        order = order[shared <= threshold * whole]
    return np.array(kept, dtype=int)
