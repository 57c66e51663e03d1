"""How large faces are, in a network and in memory; without PyTorch."""

from fer_lightning.errors import require_integer

SIZE = 48  # of TFD and FER2013, and wherever nothing else is said
LEAST, MOST = 8, 1024


def require_image_size(image_size: int) -> None:
    """Raise a `SettingError` unless this can be the side of a face in pixels."""
    require_integer("image_size", image_size, LEAST, MOST)
