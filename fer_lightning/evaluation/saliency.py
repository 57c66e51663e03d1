"""Which pixels of a face speak for a class, found by blurring its parts one after another."""

import math
from collections.abc import Sequence

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from fer_lightning.data import EVALUATION_BATCH
from fer_lightning.errors import InputError
from fer_lightning.training import ExpressionClassifier

MISSING = "explain=true needs another package: pip install 'fer-lightning[explain]'"
# Parts of a face's side: the side of the window that is blurred, how far it moves at a time, and
# the standard deviation of the blur; of 48 pixels they are 6, 2 and 4.
WINDOW, STEP, BLUR = 1 / 8, 1 / 24, 1 / 12


def require_captum() -> None:
    """Raise an `InputError` unless captum, which moves the window, can be imported."""
    try:
        import captum.attr  # noqa: F401  # it takes seconds
    except ImportError as error:
        raise InputError(MISSING) from error


def window_of(side: int) -> int:
    """Return the side, in pixels, of the window that is blurred in faces of so many pixels."""
    return max(1, round(side * WINDOW))


def saliency(model: ExpressionClassifier, face: Tensor, classes: Sequence[int]) -> Tensor:
    """Return maps of which pixels of a face speak for classes.

    A window is moved over the face, and what is in it is blurred (occlusion of M. D. Zeiler and
    R. Fergus, 2014, "Visualizing and understanding convolutional networks", section 4.2). A pixel's
    value is the fall of the class's log-odds, the mean over the windows that cover the pixel. Of
    the network it takes the answers only, neither gradients nor layers.

    Args:
        model: The network in evaluation mode; smoothing and views are part of what it does.
        face: As the network is shown it: prepared, floats in [0, 1], (1, H, H).
        classes: K classes, by number.

    Returns:
        (K, H, H), float64, on the CPU, in bits: 1 where blurring halves the odds, -1 where it
        doubles them.
    """
    from captum.attr import Occlusion

    def odds(images: Tensor) -> Tensor:
        return log_odds(model.evaluated(images))[:, list(classes)]

    side = face.shape[-1]
    window, step = window_of(side), max(1, round(side * STEP))
    found: Tensor = Occlusion(odds).attribute(
        face[None],
        sliding_window_shapes=(1, window, window),
        strides=(1, step, step),
        baselines=blurred(face)[None],
        perturbations_per_eval=EVALUATION_BATCH,
    )  # (K, 1, H, H)
    return found[:, 0].cpu()


def log_odds(log_proba: Tensor) -> Tensor:
    """Return log2(p / (1 - p)) of each class, (B, C), float64.

    Unlike p, it goes on to change where a network is all but certain.

    Args:
        log_proba: Log-probabilities, up to a constant of each face, (B, C).
    """
    log_proba = log_proba.double()
    own = torch.eye(log_proba.shape[-1], dtype=torch.bool, device=log_proba.device)
    others = log_proba.unsqueeze(-2).masked_fill(own, -math.inf).logsumexp(-1)
    return (log_proba - others) / math.log(2)


def blurred(face: Tensor) -> Tensor:
    """Return a face, (1, H, H), without what a sigma of a twelfth of its side takes away."""
    smooth = gaussian_filter(face.cpu().numpy(), face.shape[-1] * BLUR, mode="nearest", axes=(1, 2))
    return torch.from_numpy(smooth).to(face)
