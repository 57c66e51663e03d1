"""Runs as the members of a training."""

from collections.abc import Sequence

import torch

from fer_lightning.data import SPLITS, FaceSplits
from fer_lightning.fused.engine import Member
from fer_lightning.networks import CNN, MLP
from fer_lightning.training import Run

PRECISIONS = dict.fromkeys(("None", "32", "32-true"), torch.float32)
PRECISIONS |= dict.fromkeys(("64", "64-true"), torch.float64)


def members(runs: Sequence[Run]) -> list[Member]:
    """Return the runs as members of a training, with networks and faces on its device."""
    splits: dict[int, FaceSplits] = {}
    made = []
    for run in runs:
        run.datamodule.device = run.device
        faces = [run.datamodule.resident(split) for split in SPLITS]
        shared = splits.setdefault(id(faces[0]), FaceSplits(*faces))
        dtype = PRECISIONS[str(run.config.trainer.get("precision"))]
        model = run.model.to(run.device, dtype)
        network = model.network
        assert isinstance(network, MLP | CNN)
        made.append(Member(network, model.optimizer, shared, run.datamodule.seed))
    return made
