"""The study's two networks."""

from collections.abc import Sequence

import torch
from torch import nn

from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.faces import CLASSES, SIZE
from fer_lightning.optimizers import SGD, OptimizerSettings
from fer_lightning.shapes import require_cnn, require_mlp

MLP_OPTIMIZER = SGD(lr=0.01)
CNN_OPTIMIZER = SGD(lr=0.1)


class MLP(ExpressionClassifier):
    """Linear layers with ReLU between them: 2304 - 16 - 32 - 7 in the study.

    Args:
        hidden: Units of each hidden layer, at least one layer.
        optimizer: How to train; the study's settings by default.

    Raises:
        SettingError: A value breaks its rule.
    """

    def __init__(
        self, hidden: Sequence[int] = (16, 32), optimizer: OptimizerSettings = MLP_OPTIMIZER
    ) -> None:
        super().__init__(optimizer)
        require_mlp(hidden)
        hidden = list(hidden)
        self.save_hyperparameters(ignore="optimizer", logger=False)
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in zip([SIZE * SIZE, *hidden], hidden, strict=False):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], len(CLASSES)))
        initialise(self.layers)


class CNN(ExpressionClassifier):
    """Convolutions with ReLU and max-pooling, then a linear layer: 8 and 16 filters in the study.

    The first pooling is 3x3, the others 2x2, as long as there are pixels to pool: 48 - 16 - 8 - 4 -
    2 - 1.

    Args:
        filters: Filters of each convolution, at least one convolution.
        kernel_size: Side of the filters, odd, so that zero padding keeps the size.
        optimizer: How to train; the study's settings by default.

    Raises:
        SettingError: A value breaks its rule.
    """

    def __init__(
        self,
        filters: Sequence[int] = (8, 16),
        kernel_size: int = 5,
        optimizer: OptimizerSettings = CNN_OPTIMIZER,
    ) -> None:
        super().__init__(optimizer)
        require_cnn(filters, kernel_size)
        filters = list(filters)
        self.save_hyperparameters(ignore="optimizer", logger=False)
        layers: list[nn.Module] = []
        side = SIZE
        for n_in, n_out in zip([1, *filters], filters, strict=False):
            layers += [nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2), nn.ReLU()]
            pool = 3 if side == SIZE else min(2, side)
            layers.append(nn.MaxPool2d(pool))
            side //= pool
        features = filters[-1] * side * side
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, len(CLASSES)))
        # far faster on a CPU than channels first; what layers pass on follows their weights
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        initialise(self.layers)


@torch.no_grad()
def initialise(layers: nn.Sequential) -> None:
    """Draw weights as the study did: Normal(0, 0.1^2), in the last layer 0.01^2; biases are 0."""
    weighted = [layer for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
    for layer in weighted:
        layer.weight.normal_(0, 0.01 if layer is weighted[-1] else 0.1)
        layer.bias.zero_()  # type: ignore[union-attr]
