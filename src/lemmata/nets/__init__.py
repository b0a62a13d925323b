"""Small, readable networks of the literature, each built from an explicit seed; one family a file."""

from lemmata.nets.autoencoder import linear_autoencoder
from lemmata.nets.convnet import convnet, convnet1d
from lemmata.nets.initialisations import INITIALISATIONS, NTKLinear, initialise
from lemmata.nets.mlp import ACTIVATIONS, mlp
from lemmata.nets.resnet import ResNet, resnet

__all__ = [
    "ACTIVATIONS",
    "INITIALISATIONS",
    "NTKLinear",
    "ResNet",
    "convnet",
    "convnet1d",
    "initialise",
    "linear_autoencoder",
    "mlp",
    "resnet",
]
