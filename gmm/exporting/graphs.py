"""Mixtures as modules with the outputs of a file, and what the file says of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gmm.exporting.densities import Density
from gmm.exporting.preparing import ExportError, density_of
from gmm.mixtures.mixture import Mixture

CLUSTERS = ("log_prob", "log_responsibilities", "cluster")
CLASSES = ("log_joint", "log_proba", "label")


@dataclass(frozen=True, eq=False)
class Graph:
    """What a file is made of.

    Attributes:
        module: From a batch of inputs to the outputs.
        example: Two inputs.
        input: Name of the input.
        outputs: Names of the outputs.
        facts: What the file tells beside the graph; lists are JSON.
    """

    module: nn.Module
    example: Tensor
    input: str
    outputs: tuple[str, ...]
    facts: dict[str, str]


class Clusters(nn.Module):
    """One mixture: log p(x), (N,), log responsibilities, (N, K), and the likeliest, (N,)."""

    def __init__(self, density: Density) -> None:
        super().__init__()
        self.density = density

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        joint = self.density(points).squeeze(1)
        # Far away, the logarithm of K is lost beside the joint densities, but not in log_softmax.
        return joint.logsumexp(-1), joint.log_softmax(-1), joint.argmax(-1)


class Classes(nn.Module):
    """A mixture per class: log p(x, c) and log p(c | x), (N, C), and the likeliest class, (N,)."""

    log_prior: Tensor

    def __init__(self, density: Density, log_prior: Tensor) -> None:
        super().__init__()
        self.density = density
        self.register_buffer("log_prior", log_prior.float())

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        joint = self.density(points).logsumexp(-1) + self.log_prior
        return joint, joint.log_softmax(-1), joint.argmax(-1)


def graph_of(
    mixture: Mixture, log_prior: Any = None, classes: Sequence[Any] | None = None
) -> Graph:
    """Return the graph of a mixture, or of a mixture per class, for points (N, D).

    See `to_onnx` for the arguments and the errors.
    """
    batch = tuple(mixture.batch_shape)
    if log_prior is None:
        if batch:
            raise ExportError(f"log_prior must be given for mixtures of batch shape {batch}")
        if classes is not None:
            raise ExportError(f"log_prior must be given with classes, got {list(classes)}")
        module: nn.Module = Clusters(density_of(mixture))
        return _graph(mixture, module, CLUSTERS, {})
    prior = torch.as_tensor(log_prior, dtype=torch.float64, device="cpu")
    if len(batch) != 1 or prior.shape != batch:
        rule = f"have a number for each of the mixtures {batch}"
        raise ExportError(f"log_prior must {rule}, got shape {tuple(prior.shape)}")
    names = [_plain(c) for c in (range(batch[0]) if classes is None else classes)]
    if len(names) != batch[0]:
        raise ExportError(f"classes must be {batch[0]}, got {len(names)}")
    module = Classes(density_of(mixture), prior)
    return _graph(mixture, module, CLASSES, {"classes": json.dumps(names)})


def _graph(
    mixture: Mixture, module: nn.Module, outputs: tuple[str, ...], facts: dict[str, str]
) -> Graph:
    D, counts = mixture.n_features, mixture.n_components
    told: dict[tuple[str, ...], str] = {
        CLUSTERS: "log p(x), (N,); log responsibilities, (N, K), float32; cluster, (N,), int64",
        CLASSES: "log p(x, c) and log p(c | x), (N, C), float32; label, int64, (N,)",
    }
    facts = {
        **facts,
        "covariance_type": mixture.covariance_type,
        "n_components": json.dumps(counts.tolist()),
        "n_features": str(D),
        "input": f"points: float32, (N, {D})",
        "output": told[outputs],
    }
    return Graph(module.eval(), torch.zeros(2, D), "points", outputs, facts)


def _plain(name: Any) -> Any:
    """Return the name of a class as JSON has it; those of NumPy are objects of its own."""
    return name.item() if hasattr(name, "item") else name
