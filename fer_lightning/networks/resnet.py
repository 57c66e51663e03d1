"""A small residual network for grey faces of any size."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fer_lightning.data import CLASSES
from fer_lightning.networks.shapes import require_resnet

STEM_KERNEL = 5


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., 2016).

    Args:
        n_in: Channels that come in.
        n_out: Channels that go out; where they are others, the shortcut is a 1x1 convolution.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.SiLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Sequential()
        if n_in != n_out:
            self.shortcut.append(nn.Conv2d(n_in, n_out, 1, bias=False))
            self.shortcut.append(nn.BatchNorm2d(n_out))
        self.activation = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, n_out, H, W) of (B, n_in, H, W)."""
        return self.activation(self.residual(x) + self.shortcut(x))


class ResNet(nn.Module):
    """Stages of residual blocks between a first convolution and a linear layer.

    The first convolution is 5x5 with stride 2, then come maxima of 2x2; each stage but the first
    begins with means of 2x2: of 48 pixels, 24 - 12 - 6 - 3 remain. The linear layer takes means
    over all places. The other convolutions have no strides, and work on 12x12 places at most.

    Args:
        stem: Channels of the first convolution.
        widths: Channels of each stage, at least one stage.
        depths: Residual blocks of each stage.

    Attributes:
        settings: The arguments that it was made with.

    Raises:
        SettingError: A value breaks its rule.
    """

    def __init__(
        self,
        stem: int = 32,
        widths: Sequence[int] = (32, 64, 96),
        depths: Sequence[int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        require_resnet(stem, widths, depths)
        self.settings = {"stem": stem, "widths": list(widths), "depths": list(depths)}
        self.stem = nn.Sequential(
            nn.Conv2d(1, stem, STEM_KERNEL, stride=2, padding=STEM_KERNEL // 2, bias=False),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.BatchNorm2d(stem),
            nn.SiLU(inplace=True),
        )
        layers: list[nn.Module] = []
        n_in = stem
        for n_out, depth in zip(widths, depths, strict=True):
            if layers:
                layers.append(nn.AvgPool2d(2, ceil_mode=True))
            for _ in range(depth):
                layers.append(Block(n_in, n_out))
                n_in = n_out
        self.stages = nn.Sequential(*layers)
        self.classifier = nn.Linear(n_in, len(CLASSES))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, 7), of faces in [0, 1], (B, 1, H, W)."""
        return self.classifier(self.stages(self.stem(images)).mean((-2, -1)))
