"""Stability of residual networks: eigenvalues in the stability region, growth of perturbations, drift of the energy."""

from lemmata.flows.stability.energy import EnergyDrift, energy_drift
from lemmata.flows.stability.growth import Growth, perturbation_growth
from lemmata.flows.stability.region import Region, stability_region
from lemmata.flows.stability.spectrum import Spectrum, spectrum

__all__ = [
    "EnergyDrift",
    "Growth",
    "Region",
    "Spectrum",
    "energy_drift",
    "perturbation_growth",
    "spectrum",
    "stability_region",
]
