"""Networks as differential equations: fields, integrators, gradients, stability, control, parallelism in depth."""

from lemmata.flows.adaptive import ADAPTIVE, integrate_adaptive
from lemmata.flows.basis import Basis, PiecewiseConstant, PiecewiseLinear, Spline
from lemmata.flows.features import Features, features
from lemmata.flows.field import ModuleField, Partitioned, VectorField
from lemmata.flows.flow import Flow
from lemmata.flows.integrate import integrate
from lemmata.flows.layers import (
    Antisymmetric,
    Convolution,
    Dense,
    Hamiltonian,
    Hyperbolic,
    Layer,
    LinearMap,
    Parabolic,
    Plain,
    Residual,
    TwoLayer,
)
from lemmata.flows.methods import METHODS, DiagonallyImplicit, ExplicitRungeKutta, Method, Splitting, method_of
from lemmata.flows.trajectory import Trajectory

__all__ = [
    "ADAPTIVE",
    "METHODS",
    "Antisymmetric",
    "Basis",
    "Convolution",
    "Dense",
    "DiagonallyImplicit",
    "ExplicitRungeKutta",
    "Features",
    "Flow",
    "Hamiltonian",
    "Hyperbolic",
    "Layer",
    "LinearMap",
    "Method",
    "ModuleField",
    "Parabolic",
    "Partitioned",
    "PiecewiseConstant",
    "PiecewiseLinear",
    "Plain",
    "Residual",
    "Spline",
    "Splitting",
    "Trajectory",
    "TwoLayer",
    "VectorField",
    "features",
    "integrate",
    "integrate_adaptive",
    "method_of",
]
