"""Residual layers as vector fields."""

from lemmata.flows.layers.hamiltonian import Hamiltonian
from lemmata.flows.layers.plain import Plain

__all__ = ["Hamiltonian", "Plain"]
