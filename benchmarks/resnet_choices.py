"""What the residual network was chosen among: the same with one part changed.

Each is named on the command line in place of the network, such as

    python train.py -m experiment=fer2013 data.path=fer2013.zip trainer.max_epochs=10 threads=1 \
        model._target_=benchmarks.resnet_choices.ReLU,benchmarks.resnet_choices.MaxPooled

`python -m benchmarks.resnet_choices` prints the time of a minibatch of each, forward and backward,
and its ratio to that of the network. `docs/recipe.md` tells how good they are.
"""

import functools
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.results import in_turns, parser, publish
from fer_lightning.networks.resnet import Block, ResNet


class ReLU(ResNet):
    """With ReLU in place of SiLU."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _replace(self, nn.SiLU, lambda _: nn.ReLU(inplace=True))


class MaxPooled(ResNet):
    """With maxima of 2x2 between the stages in place of means."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _replace(self, nn.AvgPool2d, lambda _: nn.MaxPool2d(2, ceil_mode=True))


class Strided(ResNet):
    """With a stride of 2 at the start of a stage in place of the means between stages."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        layers = list(self.stages)
        for pool, block in pairwise(layers):
            if isinstance(pool, nn.AvgPool2d):
                assert isinstance(block, Block)
                for part in (block.residual, block.shortcut):
                    cast(nn.Conv2d, part[0]).stride = (2, 2)
        self.stages = nn.Sequential(*(layer for layer in layers if isinstance(layer, Block)))


class SmallStem(ResNet):
    """With 3x3 in place of 5x5 for the first convolution."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        channels = cast(nn.Conv2d, self.stem[0]).out_channels
        self.stem[0] = _convolution(1, channels, 3, stride=2, padding=1)


class NoPoolInStem(ResNet):
    """Without the maxima after the first convolution: four times as many places in each stage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.stem[1] = nn.Identity()


class Depthwise(ResNet):
    """With a 3x3 convolution of each channel and a 1x1 of all in place of each 3x3 of all."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _replace(self.stages, nn.Conv2d, _separable)


class SqueezeExcited(ResNet):
    """With squeeze-and-excitation (Hu et al., 2018) at the end of each residual."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for block in self.stages:
            if isinstance(block, Block):
                n = cast(nn.BatchNorm2d, block.residual[-1]).num_features
                block.residual.append(SqueezeExcitation(n))


class SqueezeExcitation(nn.Module):
    """Channels weighed by what the means of all channels over all places say.

    Args:
        n: The channels.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.Linear(n, n // 8), nn.ReLU(inplace=True), nn.Linear(n // 8, n), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, n, H, W) of (B, n, H, W)."""
        return x * self.weights(x.mean((-2, -1)))[..., None, None]


def _convolution(n_in: int, n_out: int, kernel: int, **settings: Any) -> nn.Conv2d:
    convolution = nn.Conv2d(n_in, n_out, kernel, bias=False, **settings)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution


def _separable(convolution: nn.Module) -> nn.Module:
    assert isinstance(convolution, nn.Conv2d)
    n_in, n_out = convolution.in_channels, convolution.out_channels
    if convolution.kernel_size == (1, 1):
        return convolution
    of_each = _convolution(n_in, n_in, 3, padding=1, groups=n_in)
    return nn.Sequential(of_each, _convolution(n_in, n_out, 1))


def _replace(
    module: nn.Module, kind: type[nn.Module], by: Callable[[nn.Module], nn.Module]
) -> None:
    """Put others in the place of all parts of a kind, however deep."""
    for name, part in module.named_children():
        if isinstance(part, kind):
            setattr(module, name, by(part))
        else:
            _replace(part, kind, by)


CHOICES: dict[str, Callable[[], nn.Module]] = {
    "ResNet": ResNet,
    "ReLU": ReLU,
    "MaxPooled": MaxPooled,
    "Strided": Strided,
    "SmallStem": SmallStem,
    "NoPoolInStem": NoPoolInStem,
    "SqueezeExcited": SqueezeExcited,
    "Depthwise, wider": functools.partial(Depthwise, widths=(96, 192, 256)),
}


def _milliseconds(network: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
    began = time.perf_counter()
    F.cross_entropy(network(images), labels).backward()
    return [1000 * (time.perf_counter() - began)]


def main() -> None:
    """Print the times and their ratios, and write them as JSON."""
    args = parser("resnet_choices", __doc__, rounds=15).parse_args()
    n = 16 if args.quick else 256
    images, labels = torch.rand(n, 1, 48, 48), torch.randint(7, (n,))
    networks = {name: make().train() for name, make in CHOICES.items()}
    programs = {
        name: functools.partial(_milliseconds, network, images, labels)
        for name, network in networks.items()
    }
    in_turns(programs, 1)  # warms up
    took = in_turns(programs, args.rounds)
    rows = [
        {
            "network": name,
            "parameters": sum(weights.numel() for weights in networks[name].parameters()),
            "ms": ms,
            "ratio": ms / took["ResNet"],
        }
        for name, ms in took.items()
    ]
    publish(args.json, rows)


if __name__ == "__main__":
    main()
