"""The rules of the networks' shapes, which are checked before PyTorch is imported."""

from collections.abc import Callable, Sequence

from fer_lightning.data import SIZE, require_image_size
from fer_lightning.errors import require, require_integer, require_number


def require_mlp(hidden: Sequence[int], image_size: int = SIZE) -> None:
    """Raise a `SettingError` unless these can be the units of hidden layers, and a face's side."""
    _require_widths("hidden", hidden)
    require_image_size(image_size)


def require_cnn(filters: Sequence[int], kernel_size: int, image_size: int = SIZE) -> None:
    """Raise a `SettingError` unless these can be filters of convolutions, and sides of both."""
    require_image_size(image_size)
    _require_widths("filters", filters)
    require_integer("kernel_size", kernel_size, 1)
    require(kernel_size % 2 == 1, "kernel_size", "be odd", kernel_size)


def require_resnet(stem: int, widths: Sequence[int], depths: Sequence[int]) -> None:
    """Raise a `SettingError` unless these can be the channels and blocks of a residual network."""
    require_integer("stem", stem, 1)
    _require_widths("widths", widths)
    _require_widths("depths", depths)
    rule = f"have as many numbers as widths ({len(widths)})"
    require(len(depths) == len(widths), "depths", rule, depths)


def require_vgg(widths: Sequence[int], hidden: Sequence[int], dropout: float) -> None:
    """Raise a `SettingError` unless these can be the settings of a VGG."""
    _require_widths("widths", widths)
    _require_widths("hidden", hidden)
    require_number("dropout", dropout, 0, below=1)


def _require_widths(name: str, widths: Sequence[int]) -> None:
    rule = "be a list of at least one positive integer"
    fits = not isinstance(widths, str) and isinstance(widths, Sequence) and len(widths) > 0
    require(fits and all(type(w) is int and w > 0 for w in widths), name, rule, widths)


# By the name under which a configuration asks for the network.
SHAPES: dict[str, Callable[..., None]] = {
    "fer_lightning.networks.MLP": require_mlp,
    "fer_lightning.networks.CNN": require_cnn,
    "fer_lightning.networks.ResNet": require_resnet,
    "fer_lightning.networks.VGG": require_vgg,
}
