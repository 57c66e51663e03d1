"""Gradients that are written out, against autograd's of each network alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fer_lightning.fused.gradients import gradients, is_written_out
from fer_lightning.fused.stacking import StackedNetwork
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP

BATCH = 6


def mlp(*after: nn.Module) -> MLP:
    """An MLP in float64 with other layers behind its first one."""
    network = MLP((4,)).double()
    flatten, first, *_, last = network.layers
    network.layers = nn.Sequential(flatten, first, *after, nn.ReLU(), last).double()
    return network


NETWORKS = {
    "study": lambda: MLP().double(),
    "deep": lambda: MLP((5, 4, 3, 6)).double(),
    "flattened again": lambda: mlp(nn.ReLU(), nn.Flatten(), nn.Linear(4, 4)),
    "linear twice": lambda: mlp(nn.Linear(4, 4)),
    "other layers": lambda: mlp(nn.Tanh(), nn.LayerNorm(4)),
    "cnn": lambda: CNN((2, 3)).double(),
}


@pytest.mark.parametrize("n_shared", [1, 2, 4])
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_each_network_alone(name, uneven, n_shared):
    torch.manual_seed(0)
    networks = [NETWORKS[name]() for _ in range(4)]
    images = torch.rand(4 // n_shared, BATCH, 1, 48, 48, dtype=torch.float64)
    labels = torch.randint(0, 7, (4, BATCH))
    shares = torch.rand(4, BATCH, dtype=torch.float64) if uneven else 0.3
    stacked = StackedNetwork(networks, n_shared)
    found, logits = gradients(stacked, images, labels, shares)
    for m, network in enumerate(networks):
        its = network.layers(images[m // n_shared])
        torch.testing.assert_close(logits[m], its)
        of_faces = F.cross_entropy(its, labels[m], reduction="none")
        (of_faces * (shares[m] if uneven else shares)).sum().backward()
        for g, p in zip(found, network.parameters(), strict=True):
            torch.testing.assert_close(g[m], p.grad, rtol=1e-9, atol=1e-12)


def test_only_linear_layers_with_relu_are_written_out():
    written = {name for name, make in NETWORKS.items() if is_written_out(make().layers)}
    assert written == {"study", "deep", "flattened again", "linear twice"}
