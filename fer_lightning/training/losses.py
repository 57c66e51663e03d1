"""What is minimised."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_lightning.data import CLASSES
from fer_lightning.errors import SettingError, require_number


class CrossEntropy(nn.Module):
    """Cross-entropy of labels, or of probabilities of labels: the mean over a minibatch.

    Args:
        label_smoothing: Share of a label that is spread over all classes, in [0, 1) (Szegedy et
            al., 2016).
        weight: Factors of the classes; `balanced` gives each class the same part in the mean over
            the training faces, N / (C n_c) for the class c; None weighs faces alike.

    Raises:
        SettingError: A value breaks its rule.
    """

    factors: Tensor | None

    def __init__(
        self, label_smoothing: float = 0.0, weight: Sequence[float] | str | None = None
    ) -> None:
        super().__init__()
        require_number("label_smoothing", label_smoothing, 0, below=1)
        self.label_smoothing = label_smoothing
        self.balances = weight == "balanced"
        factors = None if weight is None or self.balances else _factors(weight)
        self.register_buffer("factors", factors, persistent=False)

    def balance(self, counts: Sequence[int]) -> None:
        """Weigh the classes, of which there are so many training faces, if that is wanted."""
        if self.balances:
            n = torch.tensor(counts, dtype=torch.float32)
            present = n > 0
            self.factors = torch.where(present, n.sum() / (present.sum() * n), torch.zeros(()))

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss, a scalar.

        Args:
            logits: (B, C).
            labels: Classes, (B,) int64, or their probabilities, (B, C).
        """
        if self.factors is None:
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        factors = self.factors.to(logits)
        if labels.ndim == 1:
            labels = F.one_hot(labels, logits.shape[-1])
        share = labels.to(logits.dtype) @ factors  # of the faces' own labels, before smoothing
        each = F.cross_entropy(
            logits,
            labels.to(logits.dtype),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return (share * each).mean()


def _factors(weight: Sequence[float] | str) -> Tensor:
    rule = "be balanced, or a list of numbers of at least 0, one a class"
    try:
        factors = torch.tensor([float(each) for each in weight])
    except (TypeError, ValueError) as error:
        raise SettingError("weight", rule, weight) from error
    if isinstance(weight, str) or len(factors) != len(CLASSES) or not bool((factors >= 0).all()):
        raise SettingError("weight", rule, weight)
    return factors
