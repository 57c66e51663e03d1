"""A network's logits for faces, and their scores."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_lightning.data import EVALUATION_BATCH, SPLITS, Faces, ResidentFaces, in_order
from fer_lightning.runs import Scores
from fer_lightning.training.expression_network import ExpressionNetwork


@torch.inference_mode()
def logits_of(model: ExpressionNetwork, faces: Faces) -> Tensor:
    """Return the logits, (N, 7), of faces on the network's device, in evaluation mode."""
    was_training = model.training
    model.eval()
    logits = torch.cat([model.evaluated(images) for images, _ in in_order(faces, EVALUATION_BATCH)])
    model.train(was_training)
    return logits


def score(model: ExpressionNetwork, faces: Faces) -> dict[str, float | None]:
    """Return a network's mean cross-entropy (`ce`, nats) and accuracy (`acc`, in [0, 1]) on faces.

    Both are None if a logit is not finite, as those of a diverged network are.
    """
    logits = logits_of(model, faces)
    if not logits.isfinite().all():
        return {"ce": None, "acc": None}
    correct = (logits.argmax(-1) == faces.labels).to(logits.dtype)
    return {"ce": F.cross_entropy(logits, faces.labels).item(), "acc": correct.mean().item()}


def scores_of(model: ExpressionNetwork, datamodule: ResidentFaces, epoch: int) -> Scores:
    """Return the cross-entropy and accuracy of a network after an epoch on all splits."""
    splits = [datamodule.resident(split) for split in SPLITS]
    model.to(splits[0].labels.device)  # from which Lightning takes it at the end of a training
    return Scores(epoch, *(score(model, faces) for faces in splits))
