"""Networks as differential equations: fields, integrators, gradients, stability, control, parallelism in depth."""

from lemmata.flows.basis import PiecewiseConstant
from lemmata.flows.field import ModuleField, Partitioned, VectorField
from lemmata.flows.flow import Flow
from lemmata.flows.integrate import Trajectory, integrate
from lemmata.flows.layers import Hamiltonian, Plain

__all__ = [
    "Flow",
    "Hamiltonian",
    "ModuleField",
    "Partitioned",
    "PiecewiseConstant",
    "Plain",
    "Trajectory",
    "VectorField",
    "integrate",
]
