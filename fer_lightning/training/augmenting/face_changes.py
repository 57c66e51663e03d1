"""Changes of a minibatch of faces, each a function of random numbers of the faces.

Images are (B, 1, H, H) floats in [0, 1]; numbers of the faces are (B,), on the same device.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Return the images with those mirrored of which `which`, bool, is true."""
    return torch.where(_of_each(which), images.flip(-1), images)


def moved(images: Tensor, mirror: Tensor, angle: Tensor, zoom: Tensor, shift: Tensor) -> Tensor:
    """Return mirrored, turned, scaled and moved images, by one bilinear sampling.

    What comes in over a side is the pixel at that side.

    Args:
        images: The faces.
        mirror: -1 mirrors a face, 1 does not.
        angle: By which it is turned, in degrees.
        zoom: How many times smaller it becomes, above 0.
        shift: Share of its side by which it is moved, across and down, (B, 2).
    """
    angle = angle * (math.pi / 180)
    cos, sin = _row(angle.cos() * zoom), _row(angle.sin() * zoom)
    mirror, across, down = _row(mirror), _row(2 * shift[:, 0]), _row(2 * shift[:, 1])
    # where each pixel comes from, in [-1, 1] over the sides; `affine_grid` takes far longer
    middles = 2 * _middles(images) - 1
    x, y = middles.view(1, 1, -1), middles.view(1, -1, 1)
    n, _, side, _ = images.shape
    where = images.new_empty(n, side, side, 2)
    torch.add(cos * mirror * x, across - sin * y, out=where[..., 0])
    torch.add(sin * mirror * x, down + cos * y, out=where[..., 1])
    return F.grid_sample(images, where, padding_mode="border", align_corners=False)


def lit(images: Tensor, added: Tensor, contrast: Tensor) -> Tensor:
    """Return images whose grey levels are drawn apart around 0.5 by a factor, and raised."""
    offset = _of_each(added + 0.5 * (1 - contrast))
    return torch.addcmul(offset, images, _of_each(contrast)).clamp_(0, 1)


def covered(images: Tensor, where: Tensor, grey: Tensor) -> Tensor:
    """Return images with one grey where a mask, (B, 1, H, H) bool, is true."""
    return torch.where(where, _of_each(grey), images)


def mixed(images: Tensor, targets: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Return each face mixed with its partner, and the probabilities of both labels so too.

    A face's partner is the one at its place from the end of the minibatch.

    Args:
        images: The faces.
        targets: Probabilities of the labels, (B, C).
        kept: Share of itself that a face keeps.
    """
    share = _of_each(kept)
    return share * images + (1 - share) * images.flip(0), _mixed(targets, kept)


def pasted(images: Tensor, targets: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """Return each face with a part of its partner, and the labels' probabilities by area.

    Args:
        images: The faces.
        targets: Probabilities of the labels, (B, C).
        where: Which pixels are the partner's, (B, 1, H, H) bool.
    """
    kept = 1 - where.to(images.dtype).mean((1, 2, 3))
    return torch.where(where, images.flip(0), images), _mixed(targets, kept)


def _mixed(targets: Tensor, kept: Tensor) -> Tensor:
    kept = kept.view(-1, 1)
    return kept * targets + (1 - kept) * targets.flip(0)


def rectangles(images: Tensor, left: Tensor, top: Tensor, wide: Tensor, high: Tensor) -> Tensor:
    """Return which pixels lie in a rectangle inside of each face, (B, 1, H, H) bool.

    Args:
        images: The faces.
        left: Share of the room beside the rectangle that is left of it.
        top: Share of the room above and below the rectangle that is above it.
        wide: Share of the side that it takes across.
        high: Share of the side that it takes down.
    """
    place = _middles(images)

    def inside(first: Tensor, share: Tensor) -> Tensor:
        start = (first * (1 - share)).view(-1, 1)
        return (place >= start) & (place < start + share.view(-1, 1))

    return (inside(top, high).unsqueeze(-1) & inside(left, wide).unsqueeze(-2)).unsqueeze(1)


def _middles(images: Tensor) -> Tensor:
    """Return where the middles of the pixels of a row are, as shares of the side, (H,)."""
    side = images.shape[-1]
    return torch.arange(side, dtype=images.dtype, device=images.device).add(0.5).div(side)


def _of_each(numbers: Tensor) -> Tensor:
    return numbers.view(-1, 1, 1, 1)


def _row(numbers: Tensor) -> Tensor:
    return numbers.view(-1, 1, 1)
