"""What the first layer of a network looks for, as pictures."""

import math

from matplotlib.figure import Figure
from torch import Tensor, nn

from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.faces import SIZE
from fer_lightning.face_sheet import face_sheet

MAX_COLUMNS = 10


def first_layer(model: ExpressionClassifier) -> Figure:
    """The weights of each hidden unit of an MLP as a 48x48 image, or each filter of a CNN.

    All share one grey scale, symmetric about 0, which stands beside them; filters are enlarged to
    about the size of a face.

    Args:
        model: A network whose first weights belong to a linear or a convolutional layer.
    """
    layer = next(m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    weights = layer.weight.detach().float().cpu()
    n = len(weights)
    if isinstance(layer, nn.Linear):
        title = f"First layer: weights of {n} hidden units"
        images = weights
    else:
        side = weights.shape[-1]
        title = f"First layer: {n} filters of {side}x{side}"
        images = _enlarged(weights[:, 0], max(1, SIZE // side)).flatten(1)
    columns = n if n <= MAX_COLUMNS // 2 else min(MAX_COLUMNS, math.ceil(n / 2))
    return face_sheet(title, images, columns, unit="weight", signed=True)


def _enlarged(images: Tensor, factor: int) -> Tensor:
    """Images, (n, H, W), each pixel as a square of that many."""
    return images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)
