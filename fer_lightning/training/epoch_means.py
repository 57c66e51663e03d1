"""Cross-entropy and accuracy of an epoch, as sums kept on the device."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric


class EpochMeans(Metric):
    """Mean cross-entropy (`ce`, nats) and accuracy (`acc`, in [0, 1]) of the faces of an epoch."""

    full_state_update = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(3), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add faces.

        Args:
            logits: (N, 7).
            labels: Classes, (N,), or their probabilities, (N, 7), of which the highest is right.
        """
        ce = F.cross_entropy(logits, labels, reduction="sum")
        right = labels if labels.ndim == 1 else labels.argmax(-1)
        n_right = (logits.argmax(-1) == right).sum()
        self.sums = self.sums + torch.stack((ce, n_right, ce.new_tensor(len(labels))))

    def compute(self) -> dict[str, Tensor]:
        """Return the means over all faces so far."""
        ce, acc = self.sums[:2] / self.sums[2]
        return {"ce": ce, "acc": acc}
