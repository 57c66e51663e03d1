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
        image_size: Side of the faces in pixels, H.

    Attributes:
        settings: The arguments that it was made with.
        layers: The layers, applied one after another.

    Raises:
        SettingError: A value breaks its rule.
    """

    def __init__(self, hidden: Sequence[int] = (16, 32), image_size: int = SIZE) -> None:
        super().__init__()
        require_mlp(hidden, image_size)
        hidden = list(hidden)
        self.settings = {"hidden": hidden, "image_size": image_size}
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in zip([image_size**2, *hidden], hidden, strict=False):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], len(CLASSES)))
        initialise(self.layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, 7), of faces in [0, 1], (B, 1, H, H)."""
        return self.layers(images)
