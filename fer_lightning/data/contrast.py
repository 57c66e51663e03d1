"""Grey levels spread evenly, so that a face looks alike however it was lit or stored."""

import torch
from torch import Tensor

LEVELS = 256
BLOCK = 4096  # faces at once: each pixel takes some 20 bytes


def equalised(images: Tensor) -> Tensor:
    """Return faces with their histograms equalised (Gonzalez & Woods, 2018, section 3.3).

    A pixel's level becomes the share of its face's pixels that are as dark or darker, those of the
    darkest level left out, times 255. So every face uses all of 0..255, and any change of its
    levels that keeps their order, as of brightness, contrast or gamma, changes nothing. A face of
    one level stays as it is.

    Args:
        images: (B, 1, H, W), uint8.

    Returns:
        The same shape, uint8.
    """
    if torch.compiler.is_exporting():  # where the number of blocks would be a constant
        return _equalised(images)
    return torch.cat([_equalised(part) for part in images.split(BLOCK)])


def _equalised(images: Tensor) -> Tensor:
    levels = images.flatten(1).long()
    counts = torch.zeros(levels.shape[0], LEVELS, device=images.device)
    counts.scatter_add_(1, levels, torch.ones(levels.shape, device=images.device))
    up_to = counts.cumsum(1)
    darkest = levels.amin(1, keepdim=True)
    n_darkest, n = counts.gather(1, darkest), levels.shape[1]
    spread = (up_to - n_darkest) * (LEVELS - 1) / (n - n_darkest).clamp_min(1)
    kept = torch.arange(LEVELS, device=images.device, dtype=spread.dtype)
    table = torch.where(n_darkest < n, spread.round().clamp(0, LEVELS - 1), kept)
    return table.to(torch.uint8).gather(1, levels).view_as(images)


def prepared(images: Tensor, contrast: str | None, dtype: torch.dtype | None = None) -> Tensor:
    """Return faces as a network takes them, floats in [0, 1].

    Args:
        images: Grey levels, (B, 1, H, W): integers 0..255, or floats in [0, 1], which are prepared
            already.
        contrast: `equalise`, or None for grey levels as they are.
        dtype: Of what is returned; if None, the default one, or that of the floats.
    """
    if images.is_floating_point():
        return images if dtype is None else images.to(dtype)
    if contrast is not None:
        images = equalised(images)
    return images.to(dtype or torch.get_default_dtype()).div_(LEVELS - 1)
