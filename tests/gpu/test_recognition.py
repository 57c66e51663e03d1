"""The shipped network in use on a GPU, against the CPU."""

import numpy as np
import pytest
import torch

from fer_lightning.recognition import Recogniser
from tests.gpu.device import DEVICE

pytestmark = pytest.mark.gpu


def test_faces_have_the_same_probabilities():
    faces = torch.randint(0, 256, (2100, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator())
    expected = Recogniser.load().probabilities(faces)
    found = Recogniser.load(device=DEVICE)
    assert next(found.network.parameters()).device.type == DEVICE
    np.testing.assert_allclose(found.probabilities(faces), expected, atol=2e-3)
    np.testing.assert_allclose(found.probabilities(faces[:1]), expected[:1], atol=2e-3)
