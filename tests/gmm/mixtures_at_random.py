"""Mixtures to ask questions of: batches of any shape, with slots that no component uses."""

import numpy as np
import torch
from oracles import blobs, mixture_of, parameters

import gmm


def mixture_batch(
    name: str, batch: tuple[int, ...] = (), K: int = 3, D: int = 2, seed: int = 0
) -> gmm.Mixture:
    """Return different mixtures of overlapping components, batch shape `batch`, in float64."""
    n = int(np.prod(batch))
    each = [
        mixture_of(parameters(blobs(40, D, seed=seed + i), K, name, seed + i), name)
        for i in range(n)
    ]
    parts = zip(*(m.tensors() for m in each), strict=True)
    return gmm.Mixture(*(torch.stack(p) for p in parts), name).reshape(batch)


def with_unused_slot(mixture: gmm.Mixture, factor: float = 3) -> gmm.Mixture:
    """Return the same mixtures with an unused slot: the first component's values times factor."""
    log_weights, means, covariances = mixture.tensors()
    at_k = means.ndim - 2
    longer = [torch.cat([log_weights, torch.full_like(log_weights[..., :1], -torch.inf)], -1)]
    spare = [means] if mixture.structure.is_shared else [means, covariances]
    longer += [torch.cat([t, t.narrow(at_k, 0, 1) * factor], at_k) for t in spare]
    return gmm.Mixture(*(*longer, covariances)[:3], mixture.covariance_type)


def plane(n: int = 400, reach: float = 30) -> tuple[torch.Tensor, float]:
    """Return a grid of points in two dimensions about those of `blobs`, and the area of each."""
    line = torch.linspace(5 - reach, 5 + reach, n, dtype=torch.float64)
    return torch.cartesian_prod(line, line), float(line[1] - line[0]) ** 2
