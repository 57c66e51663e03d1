"""The study's convolutional network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fer_lightning.data import CLASSES, SIZE
from fer_lightning.networks.initial import initialise
from fer_lightning.networks.shapes import require_cnn


class CNN(nn.Module):
    """Convolutions with ReLU and max-pooling, then a linear layer: 8 and 16 filters in the study.

    The first pooling is 3x3, the others 2x2, as long as there are pixels to pool: 48 - 16 - 8 - 4 -
    2 - 1. Pixels at the edge that do not fill a pool are left out.

    Args:
        filters: Filters of each convolution, at least one convolution.
        kernel_size: Side of the filters, odd, so that zero padding keeps the size.
        image_size: Side of the faces in pixels, H.

    Attributes:
        settings: The arguments that it was made with.
        layers: The layers, applied one after another.

    Raises:
        SettingError: A value breaks its rule.
    """

    def __init__(
        self, filters: Sequence[int] = (8, 16), kernel_size: int = 5, image_size: int = SIZE
    ) -> None:
        super().__init__()
        require_cnn(filters, kernel_size, image_size)
        filters = list(filters)
        self.settings = {"filters": filters, "kernel_size": kernel_size, "image_size": image_size}
        layers: list[nn.Module] = []
        side = image_size
        for n_in, n_out in zip([1, *filters], filters, strict=False):
            pool = min(2, side) if layers else 3
            layers += [nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2), nn.ReLU()]
            layers.append(nn.MaxPool2d(pool))
            side //= pool
        features = filters[-1] * side * side
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, len(CLASSES)))
        # far faster on a CPU than channels first; what layers pass on follows their weights
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        initialise(self.layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, 7), of faces in [0, 1], (B, 1, H, H)."""
        return self.layers(images)
