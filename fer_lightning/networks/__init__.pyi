from .cnn import CNN as CNN
from .initial import initialise as initialise
from .mlp import MLP as MLP
from .shapes import SHAPES as SHAPES
