"""The networks that are compared, with the study's learning rates."""

from fer_lightning.networks.cnn import CNN, CNN_OPTIMIZER
from fer_lightning.networks.mlp import MLP, MLP_OPTIMIZER

NETWORKS: dict[str, tuple[type[MLP] | type[CNN], float]] = {
    "mlp": (MLP, MLP_OPTIMIZER.lr),
    "cnn": (CNN, CNN_OPTIMIZER.lr),
}
