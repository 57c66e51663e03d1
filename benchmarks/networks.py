"""The networks that are compared, with the study's learning rates."""

from fer_lightning.networks import CNN, CNN_OPTIMIZER, MLP, MLP_OPTIMIZER

NETWORKS: dict[str, tuple[type[MLP] | type[CNN], float]] = {
    "mlp": (MLP, MLP_OPTIMIZER.lr),
    "cnn": (CNN, CNN_OPTIMIZER.lr),
}
