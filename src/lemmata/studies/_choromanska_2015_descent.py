"""Descent on spherical spin glasses in `choromanska_2015`: the energies of the minima that it finds.

A member is one Hamiltonian: `starts` random points of the sphere, from each of which gradient descent with momentum
runs, all at once, until the gradient is small. For p = 3 a step costs 2 N^3 flops a start. Without couplings the
Hamiltonian is N sum_i J_i s_i^3 (|s| = 1), whose minima are s = -sign(J_i) e_i with energies -|J_i| a unit, at any N.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies import _choromanska_2015_theory as theory
from lemmata.studies._choromanska_2015_homotopy import symmetric
from lemmata.study import Config, Measurements

MOMENTUM, STEP_SIZE = 0.9, 0.05
SETTLED = 1e-4  # gradient a unit at which a descent has arrived
STEPS = 3000  # at most


class Descents(Config):
    """Descents on one spin glass of three-spin interactions."""

    units: int = Field(default=40, ge=2, description="N")
    starts: int = Field(default=24, ge=3, description="random starts")
    couplings: bool = Field(default=True, description="else every unit is by itself")
    widened: float = Field(default=0.2, ge=0, description="what the edge -E_inf is raised by, in energy a unit")


def find_minima(configs: Sequence[Descents]) -> list[Measurements]:
    """Run the descents of each member and summarise the energies."""
    return [_found(config) for config in configs]


def _found(config: Descents) -> Measurements:
    N = config.units
    random = np.random.default_rng([theory.FRESH + config.seed, N])
    S = hamiltonian(config, random)
    start = torch.from_numpy(random.standard_normal((config.starts, N))).float()
    s, energy, steps = descend(S, start)
    smallest = curvature(S, s)
    edge = -theory.threshold(3) + config.widened
    return Measurements.of(
        mean=energy.mean(),
        spread=energy.std(ddof=1),
        outside=(energy > edge).mean(),
        minima=(smallest > 0).mean(),
        steps=steps,
        energies=energy,
    )


def hamiltonian(config: Descents, random: np.random.Generator) -> Tensor:
    """The symmetric tensor S (N, N, N) of which N S s^3 is the energy, |s| = 1; float32."""
    N = config.units
    if config.couplings:
        S = symmetric(random.standard_normal((1, N, N, N)))[0] / np.sqrt(N)
    else:
        S = np.zeros((N, N, N))
        S[(np.arange(N),) * 3] = random.standard_normal(N)
    return torch.from_numpy(S).float()


def descend(S: Tensor, start: Tensor) -> tuple[Tensor, np.ndarray, int]:
    """Descend from rows of `start` (K, N) on the sphere: points (K, N), energies a unit (K,), steps taken.

    Momentum is kept on the tangent plane. At an energy of -E_inf the Hessian's spectrum reaches from 0 to
    12 sqrt(2/3) = 9.8, where descent with momentum 0.9 is stable for step sizes below 2 (1 + 0.9) / 9.8 = 0.39.
    """
    s = start / start.norm(dim=1, keepdim=True)
    velocity, flat = torch.zeros_like(s), S.flatten(1)
    f = torch.zeros(len(s))
    for step in range(STEPS):
        pulled = torch.bmm((s @ flat).view(len(s), -1, s.shape[1]), s[:, :, None])[:, :, 0]
        f = (pulled * s).sum(1)
        gradient = 3 * (pulled - f[:, None] * s)
        if float(gradient.norm(dim=1).max()) < SETTLED:
            return s, f.double().numpy(), step
        velocity = MOMENTUM * velocity - STEP_SIZE * gradient
        s = s + velocity
        s = s / s.norm(dim=1, keepdim=True)
        velocity = velocity - (velocity * s).sum(1, keepdim=True) * s
    return s, f.double().numpy(), STEPS


def curvature(S: Tensor, s: Tensor) -> np.ndarray:
    """The smallest eigenvalue of the Hessian on the sphere at each point (K, N): (K,)."""
    matrices = (s @ S.flatten(1)).view(len(s), *S.shape[1:])
    f = torch.einsum("kij,ki,kj->k", matrices, s, s)
    flat = torch.eye(len(S)) - s[:, :, None] * s[:, None, :]
    hessian = 6 * flat @ matrices @ flat - 3 * f[:, None, None] * flat + 1e3 * s[:, :, None] * s[:, None, :]
    return torch.linalg.eigvalsh(hessian)[:, 0].double().numpy()
