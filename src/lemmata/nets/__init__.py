"""Small, readable networks of the literature, each built from an explicit seed; one family a file."""

from lemmata.nets import mup
from lemmata.nets.autoencoder import linear_autoencoder
from lemmata.nets.bottleneck import bottleneck
from lemmata.nets.convnet import convnet, convnet1d
from lemmata.nets.gru import GRU, gru
from lemmata.nets.initialisations import INITIALISATIONS, NTKLinear, initialise
from lemmata.nets.mlp import ACTIVATIONS, mlp
from lemmata.nets.residual_mlp import ResidualMLP, residual_mlp
from lemmata.nets.resnet import ResNet, resnet

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "INITIALISATIONS",
    "NTKLinear",
    "ResNet",
    "ResidualMLP",
    "bottleneck",
    "convnet",
    "convnet1d",
    "gru",
    "initialise",
    "linear_autoencoder",
    "mlp",
    "mup",
    "residual_mlp",
    "resnet",
]
