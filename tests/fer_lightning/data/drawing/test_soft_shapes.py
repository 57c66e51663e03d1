"""Soft shapes, compared with their formulas in NumPy, to the last bit where that is possible."""

import numpy as np
import pytest
import torch
from torch import Tensor

from fer_lightning.data.drawing.soft_shapes import bump, line, paint, step

ONE, QUARTER, HALF = np.float32(1), np.float32(0.25), np.float32(0.5)


@pytest.fixture
def pictures() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(5, 9, 11, generator=generator) for _ in range(3)]


def near(square: np.ndarray) -> np.ndarray:
    root = np.maximum(ONE - QUARTER * square, 0)
    return np.square(np.square(root))


def test_a_line_is_a_polynomial_of_the_distance(pictures):
    distance = pictures[0]
    scaled = distance.numpy() * np.float32(1 / 0.3)
    np.testing.assert_array_equal(line(distance, 0.3).numpy(), near(np.square(scaled)))


def test_a_bump_is_that_polynomial_in_two_directions(pictures):
    a, b = pictures[:2]
    x, y = a.double().numpy(), b.double().numpy()  # whose sum may be rounded once
    expected = np.maximum(1 - (x * x + y * y) / 4, 0) ** 4
    np.testing.assert_allclose(bump(a, b).numpy(), expected, rtol=0, atol=1e-6)


def test_a_step_is_a_ramp(pictures):
    distance = pictures[0]
    ramp = np.clip(distance.numpy() * np.float32(1 / 0.7) + HALF, 0, ONE)
    np.testing.assert_array_equal(step(distance, 0.7).numpy(), ramp)


def test_paint_covers_in_part(pictures):
    canvas, tone, cover = pictures
    x, y, share = (picture.numpy() for picture in pictures)
    np.testing.assert_array_equal(paint(canvas, tone, cover).numpy(), x + share * (y - x))
    dark = np.float32(0.04)
    np.testing.assert_array_equal(paint(canvas, 0.04, cover).numpy(), x + share * (dark - x))


def test_shapes_leave_what_they_are_made_of_alone(pictures):
    before = [picture.clone() for picture in pictures]
    a, b, c = pictures
    line(a, 0.3), step(a, 0.3), bump(a, b), paint(a, b, c)
    for picture, copy in zip(pictures, before, strict=True):
        assert torch.equal(picture, copy)
