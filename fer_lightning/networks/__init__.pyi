from .cnn import CNN as CNN
from .initial import initialise as initialise
from .mlp import MLP as MLP
from .resnet import ResNet as ResNet
from .shapes import SHAPES as SHAPES
from .vgg import VGG as VGG
