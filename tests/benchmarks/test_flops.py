import pytest

from benchmarks.flops import epoch_flops
from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP

# Multiplications of each layer for one face.
LAYERS = {
    "mlp": [2304 * 16, 16 * 32, 32 * 7],
    "cnn": [48 * 48 * 25 * 8, 16 * 16 * 25 * 8 * 16, 16 * 64 * 7],
}


@pytest.mark.parametrize(("name", "network"), [("mlp", MLP), ("cnn", CNN)])
def test_the_first_layer_needs_no_gradient_of_its_input(name, network):
    first, *rest = LAYERS[name]
    training, validation = 2 * first + 3 * sum(rest), first + sum(rest)
    assert epoch_flops(network().layers, 10, 3) == 2 * (10 * training + 3 * validation)
