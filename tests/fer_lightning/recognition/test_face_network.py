"""All that stands between grey levels and probabilities, against each step by hand."""

import pytest
import torch
from torch import nn

from fer_lightning.data import equalised
from fer_lightning.errors import SettingError
from fer_lightning.networks import MLP
from fer_lightning.recognition.face_network import FaceNetwork
from fer_lightning.training import ExpressionClassifier


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MLP(hidden=[5]).eval()


@pytest.fixture
def faces():
    return torch.randint(0, 256, (6, 1, 48, 48), dtype=torch.uint8, generator=torch.manual_seed(1))


def test_probabilities_are_of_logits_over_the_temperature(network, faces):
    logits, probabilities = FaceNetwork(network, temperature=2.5)(faces)
    torch.testing.assert_close(logits, network(faces / 255))
    powers = (logits / 2.5).exp()
    torch.testing.assert_close(probabilities, powers / powers.sum(-1, keepdim=True))


def test_a_face_and_its_mirror_image_count_alike(network, faces):
    prepared = equalised(faces) / 255
    both = network(prepared).softmax(-1), network(prepared.flip(-1)).softmax(-1)
    _, found = FaceNetwork(network, tta="flip", contrast="equalise")(faces)
    torch.testing.assert_close(found, sum(both) / 2)


@pytest.mark.parametrize("tta", [None, "flip", "ten_crop"])
@pytest.mark.parametrize("contrast", [None, "equalise"])
@pytest.mark.parametrize("smooth", [False, True])
def test_a_network_in_use_says_what_it_said_when_it_was_evaluated(
    network, faces, tta, contrast, smooth
):
    model = ExpressionClassifier(network, tta=tta, contrast=contrast, smooth=smooth)
    logits, _ = FaceNetwork(network, tta, contrast, smooth)(faces)
    torch.testing.assert_close(logits, model.evaluated(faces))


def test_a_network_without_numbers_can_be_used(faces):
    class Seven(nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :7]

    logits, _ = FaceNetwork(Seven())(faces)
    torch.testing.assert_close(logits, faces.flatten(1)[:, :7] / 255)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"temperature": 0.0}, "temperature must be a number above 0, got 0.0"),
        ({"tta": "flop"}, "tta must be one of flip, ten_crop, or null, got 'flop'"),
        ({"contrast": "more"}, "contrast must be"),
    ],
)
def test_mistakes_are_one_line(network, settings, rule):
    with pytest.raises(SettingError) as told:
        FaceNetwork(network, **settings)
    assert rule in str(told.value)
