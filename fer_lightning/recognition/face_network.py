"""A network with all that stands between grey levels and calibrated probabilities."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fer_lightning.data import prepared, require_contrast
from fer_lightning.errors import require_number
from fer_lightning.training import evaluated, require_tta


class FaceNetwork(nn.Module):
    """From faces as pictures have them to logits and calibrated probabilities.

    Args:
        network: From prepared faces, floats in [0, 1], (B, 1, H, H), to logits, (B, 7).
        tta: The views of a face whose probabilities are averaged: None, `flip` or `ten_crop`.
        contrast: How grey levels are prepared: None or `equalise`.
        smooth: Whether faces are made as smooth as those that the network was trained on.
        temperature: By which logits are divided, so that probabilities are as often right as they
            say (Guo et al. 2017, eq. 9).

    Raises:
        SettingError: A value breaks its rule.
    """

    def __init__(
        self,
        network: nn.Module,
        tta: str | None = None,
        contrast: str | None = None,
        smooth: bool = False,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        require_tta(tta)
        require_contrast(contrast)
        require_number("temperature", temperature, 0, open_below=True)
        self.network = network
        self.tta, self.contrast, self.smooth = tta, contrast, smooth
        self.temperature = temperature

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of the numbers that the network calculates with."""
        floats = (w.dtype for w in self.network.parameters() if w.is_floating_point())
        return next(floats, torch.float32)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the network says of faces.

        Args:
            images: Grey levels 0..255, (B, 1, H, H), uint8.

        Returns:
            Logits and probabilities of the classes, (B, 7) each.
        """
        faces = prepared(images, self.contrast, self.dtype)
        logits = evaluated(self.network, faces, self.tta, self.smooth)
        return logits, (logits / self.temperature).softmax(-1)

    def as_evaluated(self) -> Mapping[str, Any]:
        """Return the arguments beside the network that it was made with."""
        names = ("tta", "contrast", "smooth", "temperature")
        return {name: getattr(self, name) for name in names}
