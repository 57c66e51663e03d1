import io

import numpy as np
import pytest
from PIL import Image

from fer_lightning.data.sources import images
from fer_lightning.data.sources.images import decode, in_parallel
from fer_lightning.errors import InputError


def encoded(image, form="PNG"):
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def test_grey_levels_of_a_48x48_picture_are_kept():
    levels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(levels)), "x", 48), levels)


def test_sixteen_bits_become_eight_without_clipping():
    levels = np.linspace(0, 65535, 48 * 48).reshape(48, 48).astype(np.uint16)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(levels)), "x", 48), levels >> 8)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA"])
def test_other_kinds_of_pictures_are_read(mode):
    grey = decode(encoded(Image.new("L", (60, 60), 255).convert(mode)), "x", 48)
    assert grey.shape == (48, 48)
    assert grey.min() == 255


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.9])
def test_a_truncated_picture_is_named(form, share):
    levels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    data = encoded(Image.fromarray(levels), form)
    with pytest.raises(InputError, match=r"who\.png: not a readable picture"):
        decode(data[: int(len(data) * share)], "who.png", 48)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 99)
    with pytest.raises(InputError, match="at most 99 pixels, got 10x10"):
        decode(encoded(Image.new("L", (10, 10))), "x", 48)


def squares(numbers):
    return np.array(numbers) ** 2


def test_work_on_all_cores_keeps_its_order():
    numbers = list(range(5000))
    np.testing.assert_array_equal(in_parallel(squares, numbers), np.arange(5000) ** 2)


def fail(numbers):
    raise InputError(f"number {numbers[0]}")


def test_an_error_on_another_core_comes_back():
    with pytest.raises(InputError, match="number 0"):
        in_parallel(fail, list(range(5000)))
