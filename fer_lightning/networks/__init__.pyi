from .cnn import CNN as CNN
from .mlp import MLP as MLP
