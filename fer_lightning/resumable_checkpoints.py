"""The checkpoints that a run has left to go on from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fer_lightning.data.faces import CLASSES
from fer_lightning.generations import whole_generations

LAST = "last.ckpt"


@dataclass(frozen=True)
class Stored:
    """A checkpoint that is whole.

    Attributes:
        path: The file.
        content: What Lightning's Trainer saved.
    """

    path: Path
    content: dict[str, Any]

    @property
    def is_within(self) -> bool:
        """Whether a part of the epoch that follows was done, too."""
        return "epoch_so_far" in self.content

    @property
    def epoch(self) -> int:
        """How many epochs were done."""
        return int(self.content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])

    def of_callback(self, name: str) -> dict[str, Any]:
        """The state of one of the run's callbacks."""
        state: dict[str, Any] = self.content["callbacks"][name]
        return state


def whole_checkpoints(folder: Path) -> list[Stored]:
    """The checkpoints in a folder from which a run can go on, the newest first.

    One that is damaged is named in a warning, and left out.
    """
    return whole_generations(folder / LAST, _of_training)


def _of_training(path: Path, content: Any) -> Stored:
    stored = Stored(path, content)
    begun = stored.epoch > 0 or stored.is_within
    if not begun or not {"state_dict", "optimizer_states"} <= content.keys():
        raise ValueError("it is of no training")
    if stored.is_within and not _is_part_of_an_epoch(**content["epoch_so_far"]):
        raise ValueError("it is of no part of an epoch")
    return stored


def _is_part_of_an_epoch(minibatches: Any, logits: Any, labels: Any) -> bool:
    """Whether these are a number of minibatches, logits (n, 7) and labels (n,)."""
    if type(minibatches) is not int or minibatches < 1:
        return False
    if not (isinstance(logits, Tensor) and isinstance(labels, Tensor)):
        return False
    return logits.shape == (len(labels), len(CLASSES)) and labels.dtype == torch.int64
