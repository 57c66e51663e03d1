"""The study's multilayer perceptron."""

from collections.abc import Sequence

from torch import Tensor, nn

from fer_lightning.data import CLASSES, SIZE
from fer_lightning.networks.initial import initialise
from fer_lightning.networks.shapes import require_mlp


class MLP(nn.Module):
    """Linear layers with ReLU between them: 2304 - 16 - 32 - 7 in the study.

    Args:
        hidden: Units of each hidden layer, at least one layer.

    Attributes:
        settings: The arguments that it was made with.
        layers: The layers, applied one after another.

    Raises:
        SettingError: A value breaks its rule.
    """

    def __init__(self, hidden: Sequence[int] = (16, 32)) -> None:
        super().__init__()
        require_mlp(hidden)
        hidden = list(hidden)
        self.settings = {"hidden": hidden}
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in zip([SIZE * SIZE, *hidden], hidden, strict=False):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], len(CLASSES)))
        initialise(self.layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, 7), of faces in [0, 1], (B, 1, 48, 48)."""
        return self.layers(images)
