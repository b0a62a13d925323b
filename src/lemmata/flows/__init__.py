"""Networks as differential equations: fields, integrators, gradients, stability, control, parallelism in depth."""

from lemmata.flows import control, parallel, regularised
from lemmata.flows.adaptive import ADAPTIVE, integrate_adaptive
from lemmata.flows.adjoint import Checkpoint, Continuous, NotReversible, Reversible, Store, Way
from lemmata.flows.audit import GradientAudit, gradient_audit
from lemmata.flows.basis import Basis, PiecewiseConstant, PiecewiseLinear, Spline
from lemmata.flows.checks import LayerCheck, check_adjoint, check_derivative
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
from lemmata.flows.stability import (
    EnergyDrift,
    Growth,
    Region,
    Spectrum,
    energy_drift,
    perturbation_growth,
    spectrum,
    stability_region,
)
from lemmata.flows.trajectory import Trajectory

__all__ = [
    "ADAPTIVE",
    "METHODS",
    "Antisymmetric",
    "Basis",
    "Checkpoint",
    "Continuous",
    "Convolution",
    "Dense",
    "DiagonallyImplicit",
    "EnergyDrift",
    "ExplicitRungeKutta",
    "Features",
    "Flow",
    "GradientAudit",
    "Growth",
    "Hamiltonian",
    "Hyperbolic",
    "Layer",
    "LayerCheck",
    "LinearMap",
    "Method",
    "ModuleField",
    "NotReversible",
    "Parabolic",
    "Partitioned",
    "PiecewiseConstant",
    "PiecewiseLinear",
    "Plain",
    "Region",
    "Residual",
    "Reversible",
    "Spectrum",
    "Spline",
    "Splitting",
    "Store",
    "Trajectory",
    "TwoLayer",
    "VectorField",
    "Way",
    "check_adjoint",
    "check_derivative",
    "control",
    "energy_drift",
    "features",
    "gradient_audit",
    "integrate",
    "integrate_adaptive",
    "method_of",
    "parallel",
    "perturbation_growth",
    "regularised",
    "spectrum",
    "stability_region",
]
