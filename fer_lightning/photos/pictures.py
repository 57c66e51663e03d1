"""Picture files and pictures in memory as red, green and blue, upright, and of a bounded size."""

import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fer_lightning.errors import InputError
from fer_lightning.photos.given_files import require_file

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"),
    *(".webp", ".avif", ".heic", ".heif"),
)
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP", "AVIF", "HEIF")
# What is decoded at once: a larger JPEG is decoded at a half, a quarter or an eighth of its size.
MAX_PIXELS, MAX_JPEG_PIXELS = 64 * 2**20, 256 * 2**20
MAX_SIDE = 2048
LEAST_SIDE = 8


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as its viewer sees it.

    Attributes:
        pixels: Red, green and blue, (H, W, 3), uint8.
        scale: How much larger the file has it: a place in it is this times a place in `pixels`.
        note: What of the file is left out, or an empty text.
    """

    pixels: np.ndarray
    scale: float = 1.0
    note: str = ""


def read_picture(path: Path, max_side: int = MAX_SIDE) -> Picture:
    """Return the picture in a file, turned as its EXIF data says.

    Transparent places become white, and levels of 16 bits become 8. Of an animation or of several
    pages the first is taken.

    Args:
        path: A file in one of `FORMATS`, whatever it is called.
        max_side: A larger picture is shrunken to it, in pixels.

    Raises:
        InputError: It is no file, no picture, a damaged or a too large one.
    """
    require_file(path)
    Image.init()
    _open_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes, which are checked here
            with _opened(path) as image:
                return _decoded(image, str(path), max_side)
    except InputError:
        raise
    except OSError as error:
        if error.errno:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        raise _unreadable(path, error) from error
    except Exception as error:  # each of the decoders has exceptions of its own for a damaged file
        raise _unreadable(path, error) from error


def _opened(path: Path) -> Image.Image:
    """Return a picture that is not decoded yet; Pillow alone would refuse a phone's 200 Mpixels."""
    formats = [name for name in FORMATS if name in Image.OPEN]
    with _LIMIT:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = before


_LIMIT = threading.Lock()  # on who may change Pillow's limit


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, UnidentifiedImageError):
        known = "JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF or HEIC"
        return InputError(f"{path}: must be a picture ({known}), got {_kind(path)}")
    return InputError(f"{path}: not a readable picture ({error or type(error).__name__})")


def _kind(path: Path) -> str:
    """Return what a file that is no picture may be, to tell."""
    with path.open("rb") as file:
        start = file.read(256)
    if not start:
        return "an empty file"
    if b"<svg" in start or (b"<?xml" in start and path.suffix.lower() == ".svg"):
        return "a drawing (SVG); save it as PNG"
    if start[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"):
        return "a HEIC file, which needs another package: pip install pi-heif"
    return f"a file that begins with {start[:8]!r}"


def _open_heif() -> None:
    """Let Pillow read HEIC, as phones write it, if the package for it is there."""
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        return
    register_heif_opener()


def _decoded(image: Image.Image, name: str, max_side: int) -> Picture:
    width, height = image.size
    if min(width, height) < LEAST_SIDE:
        rule = f"must have at least {LEAST_SIDE} pixels a side"
        raise InputError(f"{name}: {rule}, got {width}x{height}")
    n_frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
    image.draft("RGB", (min(width, max_side), min(height, max_side)))  # of a JPEG alone
    limit = MAX_PIXELS if image.size == (width, height) else MAX_JPEG_PIXELS
    if width * height > limit:
        rule = f"must have at most {limit} pixels"
        raise InputError(f"{name}: {rule}, got {width}x{height}")
    # Shrunken before it is turned: the rest works on few pixels.
    small = _rgb(image)
    small.thumbnail((max_side, max_side), Image.Resampling.BOX, reducing_gap=None)
    pixels = np.asarray(_turned(small, image))
    note = f"the first of {n_frames} pictures in the file" if n_frames > 1 else ""
    return Picture(pixels, max(width, height) / max(pixels.shape[:2]), note)


def _turned(small: Image.Image, image: Image.Image) -> Image.Image:
    """Return a picture turned as the EXIF data of the one that it was made of says."""
    small.info = {}
    small.getexif()[ORIENTATION] = image.getexif().get(ORIENTATION, 1)
    return ImageOps.exif_transpose(small)


ORIENTATION = 0x0112


def _rgb(image: Image.Image) -> Image.Image:
    """Return a picture of any mode as red, green and blue."""
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")


def _eight_bits(levels: np.ndarray) -> np.ndarray:
    """Return grey levels of any type and range as uint8, by a power of two.

    Cameras that measure 10 or 12 bits store them in 16; floats are taken to be in [0, 1], or in
    0..255 if one is larger.
    """
    if levels.dtype == np.uint8:
        return levels
    levels = np.nan_to_num(levels.astype(np.float64), posinf=0, neginf=0)
    most = float(levels.max(initial=0))
    if most > 255:
        levels = levels * (256 / 2 ** np.ceil(np.log2(most + 1)))
    elif np.issubdtype(levels.dtype, np.floating) and 0 < most <= 1:
        levels = levels * 255
    return levels.clip(0, 255).astype(np.uint8)


def as_picture(image: object) -> Picture:
    """Return a picture that is in memory, or in a file.

    Args:
        image: A path; a picture of Pillow; or levels, (H, W), (H, W, 1), (H, W, 3) or (H, W, 4),
            red, green, blue and opacity: uint8, or uint16, or floats in [0, 1].

    Raises:
        InputError: It is none of these.
    """
    if isinstance(image, str | Path):
        return read_picture(Path(image))
    if isinstance(image, Image.Image):
        return _decoded(image.copy(), "image", max(image.size))
    if isinstance(image, np.ndarray):
        return Picture(np.ascontiguousarray(_rgb_levels(image)))
    kinds = "be a path, a picture of Pillow, or an array"
    raise InputError(f"image must {kinds}, got {type(image).__name__}")


def _rgb_levels(levels: np.ndarray) -> np.ndarray:
    shape = levels.shape
    if levels.ndim == 2:
        levels = levels[..., None]
    if levels.ndim != 3 or levels.shape[-1] not in (1, 3, 4) or min(shape[:2]) < LEAST_SIDE:
        rule = f"be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), H and W at least {LEAST_SIDE}"
        raise InputError(f"the shape of image must {rule}, got {shape}")
    if levels.dtype == np.bool_ or not np.issubdtype(levels.dtype, np.number):
        raise InputError(f"the type of image must be of numbers, got {levels.dtype}")
    levels = _eight_bits(levels)
    if levels.shape[-1] == 4:
        opacity = levels[..., 3:].astype(np.float32) / 255
        levels = (levels[..., :3] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)
    return np.broadcast_to(levels, (*levels.shape[:2], 3))


def grey(pixels: np.ndarray) -> np.ndarray:
    """Return the grey levels of a picture, (H, W), by ITU-R 601-2, from (H, W, 3), uint8."""
    return np.asarray(Image.fromarray(pixels).convert("L"))
