"""How well a network does on faces."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_lightning.classifier import ExpressionClassifier
from fer_lightning.data.datamodule import EVALUATION_BATCH
from fer_lightning.data.faces import Faces
from fer_lightning.data.minibatches import in_order


@torch.inference_mode()
def logits_of(model: ExpressionClassifier, faces: Faces) -> Tensor:
    """Logits in evaluation mode for faces on the network's device, (N, 7)."""
    was_training = model.training
    model.eval()
    logits = torch.cat([model(images) for images, _ in in_order(faces, EVALUATION_BATCH)])
    model.train(was_training)
    return logits


def score(model: ExpressionClassifier, faces: Faces) -> dict[str, float | None]:
    """Mean cross-entropy in nats (`ce`) and accuracy in [0, 1] (`acc`) of a network on faces.

    Both are None if a logit is not finite, as those of a diverged network are.
    """
    logits = logits_of(model, faces)
    if not logits.isfinite().all():
        return {"ce": None, "acc": None}
    correct = (logits.argmax(-1) == faces.labels).to(logits.dtype)
    return {"ce": F.cross_entropy(logits, faces.labels).item(), "acc": correct.mean().item()}
