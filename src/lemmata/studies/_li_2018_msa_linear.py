"""Linear-quadratic control, where the rho that successive approximations need is known exactly."""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field

from lemmata.flows import control
from lemmata.studies._li_2018_msa_training import STREAMS
from lemmata.study import Config, Curve, Measurements

FACTORS = np.array([0.25, 0.75, 1.25])  # of the prediction at price 1/2; neither it nor that at price 3/4 is one


class Linear(Config):
    """Linear-quadratic control, width 3, two controls."""

    price: float = Field(default=0.5, gt=0, lt=1, description="lambda over the largest eigenvalue of the Gramian")
    layers: int = Field(default=8, ge=1)
    iterations: int = Field(default=16, ge=5)


def located(configs: Sequence[Linear]) -> list[Measurements]:
    """Where the growth of the error in an iteration passes 1, over rho in units of the prediction at price 1/2."""
    return [_located(config) for config in configs]


def _located(config: Linear) -> Measurements:
    draw = STREAMS.generator(config.seed, "linear")
    A = 0.5 * torch.randn(3, 3, generator=draw, dtype=torch.float64)
    B = torch.linalg.qr(torch.randn(3, 2, generator=draw, dtype=torch.float64)).Q
    starts, targets = (torch.randn(5, 3, generator=draw, dtype=torch.float64) for _ in range(2))
    top = float(
        torch.linalg.eigvalsh(
            control.LinearQuadratic(A, B, starts, targets, tikhonov=1.0, steps=config.layers).gramian()
        )[-1]
    )
    known = control.LinearQuadratic(A, B, starts, targets, tikhonov=config.price * top, steps=config.layers)
    penalty, least = control.TimePenalty(tikhonov=known.tikhonov), known.value()
    problem = control.Problem(known.flow(), starts, targets, loss=control.half_square, penalty=penalty)
    growth = []
    for factor in FACTORS:
        found = control.successive_approximations(
            problem, iterations=config.iterations, rho=float(factor * top / 4), inner=6, tolerance=1e-13
        )
        gap = (found.objective[0] - least).clamp_min(1e-300).log()
        growth.append(float(gap[-1] - gap[-4]) / 6)  # the gap is quadratic in the error
    return Measurements.of(
        critical=float(np.interp(0.0, -np.array(growth), FACTORS)), growth=Curve(FACTORS, np.exp(growth))
    )
