"""Soft-edged shapes: antialiased without drawing at a higher resolution."""

import torch
from torch import Tensor

SOFT = 0.065  # width of an antialiased edge in face units, a little more than a pixel


def bump(a: Tensor, b: Tensor) -> Tensor:
    return _near(torch.addcmul(a * a, b, b))


def line(distance: Tensor, width: float) -> Tensor:
    return _near((distance * (1 / width)).square_())


def _near(square: Tensor) -> Tensor:
    """Make approximately exp(-square) of it, by a much faster polynomial that reaches 0 at 4."""
    return square.mul_(-0.25).add_(1).clamp_min_(0).square_().square_()


def step(distance: Tensor, width: float) -> Tensor:
    """Return a ramp that rises from 0 to 1 over `width` around distance 0."""
    return (distance * (1 / width)).add_(0.5).clamp_(0, 1)


def paint(canvas: Tensor, tone: Tensor | float, cover: Tensor) -> Tensor:
    return (tone - canvas).mul_(cover).add_(canvas)
