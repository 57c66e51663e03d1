"""The study's multilayer perceptron."""

from collections.abc import Sequence

from torch import nn

from fer_lightning.data import CLASSES, SIZE
from fer_lightning.training import (
    SGD,
    ExpressionClassifier,
    OptimizerSettings,
    initialise,
    require_mlp,
)

MLP_OPTIMIZER = SGD(lr=0.01)


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
