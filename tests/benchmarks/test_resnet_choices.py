"""Each choice changes the part that it names, and no other."""

import pytest
import torch
from torch import nn

from benchmarks import resnet_choices as choices
from fer_lightning.networks.resnet import ResNet

SETTINGS = {"stem": 8, "widths": [8, 16], "depths": [1, 2]}


def kinds(network: nn.Module) -> dict[str, int]:
    names = [type(part).__name__ for part in network.modules()]
    return {name: names.count(name) for name in set(names)}


@pytest.mark.parametrize(
    ("choice", "gone", "come"),
    [
        ("ReLU", {"SiLU": 7}, {"ReLU": 7}),
        ("MaxPooled", {"AvgPool2d": 1}, {"MaxPool2d": 1}),
        ("Strided", {"AvgPool2d": 1}, {}),
        ("SmallStem", {}, {}),
        ("NoPoolInStem", {"MaxPool2d": 1}, {"Identity": 1}),
        ("SqueezeExcited", {}, {"SqueezeExcitation": 3, "Linear": 6, "ReLU": 3, "Sigmoid": 3}),
        ("Depthwise", {}, {"Conv2d": 6}),
    ],
)
def test_a_choice_changes_one_part(choice, gone, come):
    changed = getattr(choices, choice)(**SETTINGS)
    assert changed(torch.rand(2, 1, 48, 48)).shape == (2, 7)
    expected = kinds(ResNet(**SETTINGS))
    expected[choice] = expected.pop("ResNet")
    for name, n in gone.items():
        expected[name] -= n
    for name, n in come.items():
        expected[name] = expected.get(name, 0) + n
    found = kinds(changed)
    containers = ("Sequential",)
    assert {k: n for k, n in found.items() if k not in containers} == {
        k: n for k, n in expected.items() if n and k not in containers
    }


@pytest.mark.parametrize(
    ("choice", "places"), [("NoPoolInStem", 12), ("Strided", 6), ("SmallStem", 6)]
)
def test_stages_end_with_so_many_places(choice, places):
    network = getattr(choices, choice)(**SETTINGS)
    found = network.stages(network.stem(torch.rand(2, 1, 48, 48)))
    assert found.shape == (2, 16, places, places)


def test_weights_are_as_many_as_by_hand():
    def n_weights(choice):
        return sum(weights.numel() for weights in getattr(choices, choice)(**SETTINGS).parameters())

    n = sum(weights.numel() for weights in ResNet(**SETTINGS).parameters())
    assert n_weights("SmallStem") == n - 8 * (25 - 9)
    assert n_weights("SqueezeExcited") == n + (8 * 1 + 1 + 1 * 8 + 8) + 2 * (
        16 * 2 + 2 + 2 * 16 + 16
    )
    kernels = [(8, 8), (8, 8), (8, 16), (16, 16), (16, 16), (16, 16)]
    saved = sum(9 * a * b - (9 * a + a * b) for a, b in kernels)
    assert n_weights("Depthwise") == n - saved
