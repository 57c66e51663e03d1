"""Pictures as files have them: turned, grey, see-through, deep, huge, damaged, and none at all."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fer_lightning.errors import InputError
from fer_lightning.photos import as_picture, read_picture

# Four quarters: red green / blue white, far from square.
QUARTERS = np.zeros((40, 80, 3), np.uint8)
QUARTERS[:20, :40] = (255, 0, 0)
QUARTERS[:20, 40:] = (0, 255, 0)
QUARTERS[20:, :40] = (0, 0, 255)
QUARTERS[20:, 40:] = (255, 255, 255)
# What stored pixels must go through to be seen upright, by orientation (EXIF 2.32, table 6).
SEEN = {
    1: lambda p: p,
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: lambda p: np.rot90(p, 1),
}


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_pictures_are_turned_as_their_exif_data_says(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(QUARTERS).save(
        path, exif=exif, **({"quality": 100} if suffix != ".png" else {})
    )
    found = read_picture(path).pixels
    expected = SEEN[orientation](QUARTERS)
    assert found.shape == expected.shape
    inside = (slice(5, 15), slice(5, 15))  # of a corner, away from edges that JPEG blurs
    np.testing.assert_allclose(found[inside].astype(int), expected[inside], atol=12)
    np.testing.assert_allclose(found[-10, -10].astype(int), expected[-10, -10], atol=12)


def test_grey_see_through_and_other_modes_become_red_green_and_blue(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for mode in ("L", "P", "1", "CMYK"):
        path = tmp_path / "picture.tif"
        Image.fromarray(levels).convert(mode).save(path)
        found = read_picture(path).pixels
        assert found.shape == (16, 16, 3)
        if mode in ("L", "P"):
            np.testing.assert_array_equal(found, levels[..., None].repeat(3, -1))
    see_through = np.dstack([QUARTERS, np.full((40, 80), 0, np.uint8)])
    see_through[:, :40, 3] = 255
    Image.fromarray(see_through).save(tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(found[:, :40], QUARTERS[:, :40])
    assert (found[:, 40:] == 255).all()


@pytest.mark.parametrize(("bits", "factor"), [(10, 4), (12, 16), (16, 256)])
def test_deep_levels_keep_their_contrast(tmp_path, bits, factor):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * (factor)
    levels[-1, -1] = 2**bits - 1
    Image.fromarray(levels).save(tmp_path / "deep.png")
    found = read_picture(tmp_path / "deep.png").pixels[..., 0]
    np.testing.assert_array_equal(found, levels // factor)


def test_a_huge_jpeg_is_shrunken_while_it_is_decoded_and_says_how_much(tmp_path):
    Image.new("RGB", (12_000, 9_000), "grey").save(tmp_path / "huge.jpg")
    found = read_picture(tmp_path / "huge.jpg")
    assert found.pixels.shape == (1536, 2048, 3)
    assert found.scale == pytest.approx(12_000 / 2048)


def test_the_first_picture_of_an_animation_is_taken_and_told(tmp_path):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "green")]
    for name in ("moving.gif", "pages.tiff", "moving.webp"):
        extra = {"lossless": True} if name.endswith("webp") else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **extra)
        found = read_picture(tmp_path / name)
        assert found.note == "the first of 3 pictures in the file"
        assert tuple(found.pixels[8, 8]) == (255, 0, 0)


def bomb(path):
    """A PNG of a few hundred kilobytes that would take 1.6 GB."""

    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(40_001) * 1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b""))


def test_what_is_no_picture_is_one_line(tmp_path):
    whole = tmp_path / "whole.jpg"
    Image.fromarray(QUARTERS.repeat(8, 0)).save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:400])
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "drawing.svg").write_text('<?xml version="1.0"?><svg xmlns="x"></svg>')
    (tmp_path / "heic.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    Image.new("RGB", (3, 300)).save(tmp_path / "thin.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    bomb(tmp_path / "bomb.png")
    rules = {
        "cut.jpg": "not a readable picture",
        "text.jpg": "must be a picture (JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF or HEIC), got a file",
        "empty.png": "got an empty file",
        "drawing.svg": "got a drawing (SVG); save it as PNG",
        "heic.heic": "",
        "thin.png": "must have at least 8 pixels a side, got 3x300",
        "pipe.jpg": "must be a file or a folder, got a pipe or a device",
        "bomb.png": "must have at most 67108864 pixels, got 40000x40000",
        "missing.jpg": "no such file or folder",
        "/dev/zero": "must be a file or a folder, got a pipe or a device",
    }
    for name, rule in rules.items():
        with pytest.raises(InputError) as told:
            read_picture(tmp_path / name)
        assert str(tmp_path / name) in str(told.value)
        assert rule in str(told.value)


def test_pictures_in_memory_are_the_same_as_their_files(tmp_path):
    Image.fromarray(QUARTERS).save(tmp_path / "a.png")
    expected = read_picture(tmp_path / "a.png").pixels
    for image in (
        str(tmp_path / "a.png"),
        Image.fromarray(QUARTERS),
        QUARTERS,
        QUARTERS / 255,
        QUARTERS.astype(np.uint16) * 257,
        np.dstack([QUARTERS, np.full((40, 80), 255, np.uint8)]),
    ):
        np.testing.assert_array_equal(as_picture(image).pixels, expected)
    assert as_picture(QUARTERS[..., 0]).pixels.shape == (40, 80, 3)


def test_what_is_no_picture_in_memory_is_one_line():
    with pytest.raises(InputError, match="image must be a path, a picture of Pillow, or an array"):
        as_picture(7)
    with pytest.raises(InputError, match=r"the shape of image must be .*, got \(2, 3, 40, 40\)"):
        as_picture(np.zeros((2, 3, 40, 40)))
    with pytest.raises(InputError, match="the type of image must be of numbers, got <U1"):
        as_picture(np.full((40, 40), "x"))
