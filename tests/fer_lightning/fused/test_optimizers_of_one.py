"""The optimisers of single models are PyTorch's."""

import copy

import pytest
import torch

from fer_lightning.fused.optimizers import of_pytorch
from fer_lightning.training.optim.optimizers import SGD, AdamW

SETTINGS = [SGD(lr=0.1, momentum=0.9, weight_decay=0.1), SGD(0.1), AdamW(lr=0.1, betas=[0.5, 0.9])]


@pytest.mark.parametrize("settings", SETTINGS, ids=["momentum", "plain", "adamw"])
def test_steps_and_states_are_those_of_pytorch(settings):
    network = torch.nn.Linear(3, 2)
    twin = copy.deepcopy(network)
    ours, theirs = of_pytorch(settings, network.parameters()), settings(twin.parameters())
    for _ in range(3):
        for model, optimizer in ((network, ours), (twin, theirs)):
            model(torch.arange(6.0).view(2, 3)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert torch.equal(network.weight, twin.weight)
    assert repr(ours.state_dict()) == repr(theirs.state_dict())
