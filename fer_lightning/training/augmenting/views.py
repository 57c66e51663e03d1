"""How faces are shown to a network that is evaluated: how smooth, and in which views."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fer_lightning.errors import require

if TYPE_CHECKING:  # it takes a second to import, and a mistake in a setting is told before
    from torch import Tensor

TTA = (None, "flip", "ten_crop")
# What of the settings of a classifier goes with its weights.
AS_EVALUATED = ("tta", "contrast", "smooth")


def require_tta(tta: str | None) -> None:
    """Raise a `SettingError` unless faces can be shown so."""
    require(tta in TTA, "tta", f"be one of {', '.join(map(str, TTA[1:]))}, or null", tta)


def views(images: "Tensor", tta: str | None) -> list["Tensor"]:
    """Return the views of faces over which the probabilities of their classes are averaged.

    The ten crops are those of A. Krizhevsky et al. (2012), "ImageNet classification with deep
    convolutional neural networks", of faces that get a margin of a 48th of their side, in which
    the pixels at the sides go on.

    Args:
        images: The faces, (B, 1, H, H).
        tta: None for the faces as they are; `flip` for these and their mirror images; `ten_crop`
            for these, the four corners of the faces with a margin, and the mirror images of all.
    """
    import torch.nn.functional as F

    if tta is None:
        return [images]
    crops = [images]
    if tta == "ten_crop":
        side = images.shape[-1]
        margin = max(1, round(side / 48))
        wide = F.pad(images, (margin,) * 4, mode="replicate")
        ends = (slice(side), slice(-side, None))
        crops += [wide[..., rows, columns] for rows in ends for columns in ends]
    return [view for crop in crops for view in (crop, crop.flip(-1))]


def evaluated(
    network: "Callable[[Tensor], Tensor]", images: "Tensor", tta: str | None, smooth: bool
) -> "Tensor":
    """Return log-probabilities of the classes of faces, up to a constant of each face, (B, 7).

    Args:
        network: From faces to logits.
        images: Prepared faces, floats in [0, 1], (B, 1, H, H).
        tta: The views whose probabilities are averaged, as `views` has them.
        smooth: Whether the faces are made smooth first.
    """
    import torch

    shown = views(smoothed(images) if smooth else images, tta)
    if len(shown) == 1:
        return network(shown[0])
    # A view and its mirror image go through the network together.
    pairs = [network(torch.cat(shown[i : i + 2])) for i in range(0, len(shown), 2)]
    logits = torch.cat(pairs).unflatten(0, (len(shown), -1))  # (V, B, 7)
    return logits.log_softmax(-1).logsumexp(0)


def smoothed(images: "Tensor") -> "Tensor":
    """Return the mean of images moved by at most half a pixel across and down.

    Sampling between pixels, as faces that are moved in training are sampled, takes away a part of
    what is sharp, which unmoved faces would have.
    """
    import torch
    import torch.nn.functional as F

    row = images.new_tensor([1.0, 6.0, 1.0]) / 8  # a quarter of a pixel is the mean distance
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, torch.outer(row, row)[None, None])


def as_evaluated(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the network in a checkpoint is evaluated, as arguments of its classifier."""
    return {name: stored[name] for name in AS_EVALUATED if name in stored}  # not in older ones
