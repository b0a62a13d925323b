"""Residual layers as vector fields."""

from lemmata.flows.layers.activation import ACTIVATIONS, Activation
from lemmata.flows.layers.antisymmetric import Antisymmetric
from lemmata.flows.layers.hamiltonian import Hamiltonian
from lemmata.flows.layers.hyperbolic import Hyperbolic
from lemmata.flows.layers.maps import Convolution, Dense, LinearMap
from lemmata.flows.layers.parabolic import Parabolic
from lemmata.flows.layers.plain import Plain, TwoLayer
from lemmata.flows.layers.residual import Layer, Residual

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Antisymmetric",
    "Convolution",
    "Dense",
    "Hamiltonian",
    "Hyperbolic",
    "Layer",
    "LinearMap",
    "Parabolic",
    "Plain",
    "Residual",
    "TwoLayer",
]
