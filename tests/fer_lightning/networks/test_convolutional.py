"""The residual network and the VGG: their sizes by hand, faces of any size, and their shortcuts."""

import pytest
import torch
from torch import nn

from fer_lightning.errors import SettingError
from fer_lightning.networks.resnet import Block, ResNet
from fer_lightning.networks.vgg import VGG


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_the_residual_network_has_the_parameters_that_its_settings_say():
    network = ResNet(stem=16, widths=[32, 64], depths=[2, 1])
    norm = 2  # scale and shift of a channel
    by_hand = 25 * 16 + norm * 16
    by_hand += 9 * 16 * 32 + 9 * 32 * 32 + norm * 64 + 16 * 32 + norm * 32
    by_hand += 2 * 9 * 32 * 32 + norm * 64  # whose shortcut is the face itself
    by_hand += 9 * 32 * 64 + 9 * 64 * 64 + norm * 128 + 32 * 64 + norm * 64
    by_hand += 64 * 7 + 7
    assert n_parameters(network) == by_hand


def test_the_vgg_has_the_parameters_that_its_settings_say():
    network = VGG(widths=[8, 16], hidden=[32, 10])
    by_hand = 9 * 8 + 16 + 9 * 8 * 8 + 16
    by_hand += 9 * 8 * 16 + 32 + 9 * 16 * 16 + 32
    by_hand += 9 * 16 * 32 + 32 + 32 * 10 + 10 + 10 * 7 + 7
    assert n_parameters(network) == by_hand


@pytest.mark.parametrize("side", [1, 15, 32, 48, 49, 96])
@pytest.mark.parametrize("make", [lambda: ResNet(4, [4, 6], [1, 2]), lambda: VGG([4, 6], [5])])
def test_faces_of_any_size_give_seven_logits(make, side):
    network = make().eval()
    assert network(torch.rand(3, 1, side, side)).shape == (3, 7)


@pytest.mark.parametrize("n_out", [3, 5])
def test_a_block_adds_to_its_input_what_its_convolutions_say(n_out):
    block = Block(3, n_out).eval()
    x = torch.rand(2, 3, 7, 7)
    nn.init.zeros_(block.residual[-1].weight)  # the norm after the convolutions
    kept = x
    if n_out != 3:
        weight = block.shortcut[0].weight[:, :, 0, 0]
        norm = block.shortcut[1]
        kept = torch.einsum("oi,bihw->bohw", weight, x) / (1 + norm.eps) ** 0.5
    torch.testing.assert_close(block(x), kept * kept.sigmoid(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("side", "places"), [(48, [12, 6, 3]), (32, [8, 4, 2]), (49, [13, 7, 4])])
def test_each_stage_but_the_first_halves_the_sides(side, places):
    network = ResNet(2, [2, 3, 4], [1, 1, 1])
    x = network.stem(torch.rand(1, 1, side, side))
    seen = []
    for layer in network.stages:
        x = layer(x)
        if isinstance(layer, Block):
            seen.append(tuple(x.shape[2:]))
    assert seen == [(n, n) for n in places]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: ResNet(stem=0), "stem"),
        (lambda: ResNet(widths=[]), "widths"),
        (lambda: ResNet(widths=[8, -1], depths=[1, 1]), "widths"),
        (lambda: ResNet(widths=[8, 8], depths=[1]), "depths"),
        (lambda: ResNet(depths=[1, 0, 1]), "depths"),
        (lambda: VGG(widths="64"), "widths"),
        (lambda: VGG(hidden=[]), "hidden"),
        (lambda: VGG(dropout=1.0), "dropout"),
    ],
)
def test_impossible_shapes_are_refused_by_name(make, name):
    with pytest.raises(SettingError, match=rf"^{name} must .*, got "):
        make()
