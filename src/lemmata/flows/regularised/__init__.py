"""Flows that are paid for: transport costs, Hamilton-Jacobi residuals, Jacobian norms; the densities they carry."""

from lemmata.flows.regularised.along import Costed, costed_loss, integrals
from lemmata.flows.regularised.density import Density, density, log_density, log_determinant
from lemmata.flows.regularised.gaussian import GaussianTransport
from lemmata.flows.regularised.potential import Descent, SmoothPotential, hamilton_jacobi
from lemmata.flows.regularised.quantities import Hutchinson, divergence, jacobians, kinetic, roughness
from lemmata.flows.regularised.transport import Transport, transport

__all__ = [
    "Costed",
    "Density",
    "Descent",
    "GaussianTransport",
    "Hutchinson",
    "SmoothPotential",
    "Transport",
    "costed_loss",
    "density",
    "divergence",
    "hamilton_jacobi",
    "integrals",
    "jacobians",
    "kinetic",
    "log_density",
    "log_determinant",
    "roughness",
    "transport",
]
