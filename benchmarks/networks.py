"""The networks that are compared, with the study's learning rates."""

from fer_lightning.networks.cnn import CNN
from fer_lightning.networks.mlp import MLP

NETWORKS: dict[str, tuple[type[MLP] | type[CNN], float]] = {
    "mlp": (MLP, 0.01),
    "cnn": (CNN, 0.1),
}
