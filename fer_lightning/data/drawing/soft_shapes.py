"""Soft-edged shapes: antialiased without drawing at a higher resolution."""

import torch
from torch import Tensor

SOFT = 0.065  # width of an antialiased edge in face units, a little more than a pixel


def near(square: Tensor) -> Tensor:
    """Return approximately exp(-square), by a much faster polynomial that reaches 0 at 4."""
    return (1 - 0.25 * square).clamp_min_(0).square_().square_()


def bump(a: Tensor, b: Tensor) -> Tensor:
    return near(torch.addcmul(a * a, b, b))


def line(distance: Tensor, width: float) -> Tensor:
    return near((distance * (1 / width)).square_())


def step(distance: Tensor, width: float) -> Tensor:
    """Return a ramp that rises from 0 to 1 over `width` around distance 0."""
    return (distance * (1 / width) + 0.5).clamp_(0, 1)


def paint(canvas: Tensor, tone: Tensor | float, cover: Tensor) -> Tensor:
    return canvas + cover * (tone - canvas)
