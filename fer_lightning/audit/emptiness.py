"""Pictures that show nothing: black ones, and those with hardly anything on one grey level."""

import torch
from torch import Tensor

NEAR = 4  # grey levels by which pixels may differ and count as one level
ONE_LEVEL = 0.87  # share of the pixels on one level from which a picture is empty
SIDE, FLAT_STD = 6, 4.0  # pixels a side of a square, and its spread in grey levels if it is flat
FLAT = 0.5  # share of flat squares above which a picture is empty


def is_empty(images: Tensor) -> Tensor:
    """Return whether pictures show next to nothing, (N,), bool.

    Args:
        images: Grey levels, (N, 1, H, H), uint8.
    """
    parts = [_is_empty(part) for part in images.split(2048) if len(part)]
    return torch.cat([torch.empty(0, dtype=torch.bool), *parts])


def _is_empty(images: Tensor) -> Tensor:
    levels = images.flatten(1).long()
    counts = torch.zeros(len(images), 256 + 2 * NEAR)
    counts.scatter_add_(1, levels + NEAR, torch.ones_like(levels, dtype=torch.float32))
    on_one = counts.unfold(1, 2 * NEAR + 1, 1).sum(-1).amax(1) / levels.shape[1]
    squares = images[:, 0].float().unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE).flatten(3)
    flat = (squares.std(-1) < FLAT_STD).float().mean((1, 2))
    return (on_one >= ONE_LEVEL) | (flat > FLAT)
