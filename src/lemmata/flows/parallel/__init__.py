"""Layers in parallel: multigrid over depth, forwards and backwards, in one process and across several."""

from lemmata.flows.parallel.gradient import Gradient, LayerParallel, gradient, serial_gradient
from lemmata.flows.parallel.parareal import parareal
from lemmata.flows.parallel.processes import Processes
from lemmata.flows.parallel.ray import OnRay, RayMissing
from lemmata.flows.parallel.scheme import Multigrid
from lemmata.flows.parallel.solution import Solution
from lemmata.flows.parallel.solve import mgrit
from lemmata.flows.parallel.speedup import Forecast, forecast
from lemmata.flows.parallel.team import Team, WorkerLost
from lemmata.flows.parallel.theory import predicted_factor, propagation, stable_coarsening, two_grid_bound

__all__ = [
    "Forecast",
    "Gradient",
    "LayerParallel",
    "Multigrid",
    "OnRay",
    "Processes",
    "RayMissing",
    "Solution",
    "Team",
    "WorkerLost",
    "forecast",
    "gradient",
    "mgrit",
    "parareal",
    "predicted_factor",
    "propagation",
    "serial_gradient",
    "stable_coarsening",
    "two_grid_bound",
]
