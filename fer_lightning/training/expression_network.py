"""A network with its settings: how it is trained, and how it is evaluated."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_lightning.data import prepared, require_contrast
from fer_lightning.runs import network_name
from fer_lightning.training.augmenting.views import AS_EVALUATED, evaluated, require_tta
from fer_lightning.training.optim.optimizers import SGD, OptimizerSettings
from fer_lightning.training.optim.schedules import Schedule
from fer_lightning.training.random_state import random_state

# From logits (B, 7) and labels (B,) to the mean over the faces.
Loss = Callable[[Tensor, Tensor], Tensor]
STUDY = SGD(lr=0.01)


class ExpressionNetwork(nn.Module):
    """A network from faces to logits of the seven expressions, and how it is trained and evaluated.

    Arguments and attributes are those of `ExpressionClassifier`, which Lightning's Trainer trains;
    here is all that needs no Lightning.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerSettings = STUDY,
        schedule: Schedule | None = None,
        loss: Loss = F.cross_entropy,
        tta: str | None = None,
        contrast: str | None = None,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        require_contrast(contrast)
        require_tta(tta)
        self.network = network
        self.optimizer, self.schedule, self.loss = optimizer, schedule, loss
        for weights in network.parameters():
            self.to(weights.dtype)  # that of the faces: a stored network may have float64 weights
            break
        self.tta, self.contrast, self.smooth = tta, contrast, smooth
        self.settings: dict[str, Any] = getattr(network, "settings", {})

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of the weights, and of the faces that the network takes."""
        return next((w.dtype for w in self.network.parameters()), torch.get_default_dtype())

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return next((w.device for w in self.network.parameters()), torch.device("cpu"))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of faces.

        Args:
            images: Grey levels, (B, 1, H, W): integers 0..255, which are prepared as `contrast`
                says, or floats in [0, 1], which are taken as they are.

        Returns:
            Unnormalised log-probabilities of the classes, (B, 7).
        """
        logits: Tensor = self.network(prepared(images, self.contrast, self.dtype))
        return logits

    def evaluated(self, images: Tensor) -> Tensor:
        """Return log-probabilities by `tta` and `smooth`, up to a constant of each face, (B, 7)."""
        images = prepared(images, self.contrast, self.dtype)
        return evaluated(self, images, self.tta, self.smooth)

    def snapshot(self, epoch: int, global_step: int) -> dict[str, Any]:
        """Return a checkpoint for `load_from_checkpoint`, with copies of the weights.

        Args:
            epoch: Number of epochs that are over; at the end of one, its number from 0.
            global_step: Number of steps that are over.
        """
        checkpoint: dict[str, Any] = {
            "epoch": epoch,
            "global_step": global_step,
            "pytorch-lightning_version": _lightning_version(),
            "state_dict": {name: w.clone() for name, w in self.state_dict().items()},
        }
        self.on_save_checkpoint(checkpoint)
        return checkpoint

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add to a checkpoint what is known of the network beside its weights."""
        checkpoint["network"] = network_name(type(self.network))
        checkpoint["hyper_parameters"] = self.settings
        checkpoint.update({name: getattr(self, name) for name in AS_EVALUATED})
        checkpoint["random"] = random_state(self.device)


@cache
def _lightning_version() -> str:
    return version("lightning")  # which reads a file
