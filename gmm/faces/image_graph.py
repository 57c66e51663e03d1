"""A mixture's graph that takes faces: what makes points of them goes inside."""

import dataclasses
import math

import torch
from torch import Tensor, nn

from gmm.exporting import Graph
from gmm.faces.features import Features, PrincipalComponents


class FromImages(nn.Module):
    """Makes points of faces and gives them to a mixture.

    Args:
        inner: From points (N, D) to the outputs.
        features: How faces become points.
    """

    center: Tensor
    components: Tensor

    def __init__(self, inner: nn.Module, features: Features) -> None:
        super().__init__()
        self.inner = inner
        self.by_components = isinstance(features, PrincipalComponents)
        if isinstance(features, PrincipalComponents):
            self.register_buffer("center", features.center)
            self.register_buffer("components", features.components.mT.contiguous())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs for faces with grey levels 0..255, uint8, (N, 1, H, H)."""
        points = images.flatten(1).float() / 255
        if self.by_components:
            points = (points - self.center) @ self.components
        outputs: tuple[Tensor, Tensor, Tensor] = self.inner(points)
        return outputs


def image_graph(graph: Graph, features: Features) -> Graph:
    """Return the graph of a mixture for faces instead of points."""
    size = image_size(features, graph.example.shape[-1])
    facts = {
        **graph.facts,
        "features": str(features),
        "image_size": str(size),
        "input": f"images: grey levels 0..255, uint8, (N, 1, {size}, {size})",
    }
    example = torch.zeros(2, 1, size, size, dtype=torch.uint8)
    module = FromImages(graph.module, features).eval()
    return dataclasses.replace(graph, module=module, example=example, input="images", facts=facts)


def image_size(features: Features, D: int) -> int:
    """Return the height, which is the width, of the faces that become points of D features."""
    return math.isqrt(features.decode(torch.zeros(1, D)).shape[-1])


def encoded(images: Tensor, features: Features) -> Tensor:
    """Return points (N, D) from faces with grey levels 0..255, uint8, (N, 1, H, H)."""
    return features.encode(images.flatten(1).float() / 255)


def decoded(points: Tensor, features: Features) -> Tensor:
    """Return the faces nearest to points (N, D), uint8, (N, 1, H, H)."""
    size = image_size(features, points.shape[-1])
    pixels = features.decode(points.float()).clamp(0, 1).mul(255).round()
    return pixels.to(torch.uint8).reshape(-1, 1, size, size)
