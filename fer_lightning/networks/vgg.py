"""A large network of plain convolutions, for a GPU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fer_lightning.data import CLASSES
from fer_lightning.networks.shapes import require_vgg

LEFT = 3  # places across and down that go into the linear layers


class VGG(nn.Module):
    """Stages of two 3x3 convolutions and a max-pooling, then linear layers with dropout.

    The network of Khaireddin & Chen (2021) after Simonyan & Zisserman (2015), with batch
    normalisation: 48 pixels become 24 - 12 - 6 - 3.

    Args:
        widths: Channels of each stage, at least one stage.
        hidden: Units of each linear layer before the last, at least one.
        dropout: Probability with which a unit of these is left out in training, in [0, 1).

    Attributes:
        settings: The arguments that it was made with.

    Raises:
        SettingError: A value breaks its rule.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512),
        hidden: Sequence[int] = (1024, 1024),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        require_vgg(widths, hidden, dropout)
        self.settings = {"widths": list(widths), "hidden": list(hidden), "dropout": dropout}
        layers: list[nn.Module] = []
        n_in = 1
        for n_out in widths:
            for _ in range(2):
                layers += [
                    nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
                    nn.BatchNorm2d(n_out),
                    nn.ReLU(inplace=True),
                ]
                n_in = n_out
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(LEFT), nn.Flatten())
        layers = []
        n_in *= LEFT * LEFT
        for n_out in hidden:
            layers += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            n_in = n_out
        self.classifier = nn.Sequential(*layers, nn.Linear(n_in, len(CLASSES)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, 7), of faces in [0, 1], (B, 1, H, W)."""
        return self.classifier(self.features(images))
