"""Training a residual network on digits, by Hamiltonians and by gradients."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from lemmata import data, flows
from lemmata.flows import control
from lemmata.studies._disjoint_parts import apart
from lemmata.studies._li_2018_msa_training import RULES, STREAMS, Rule, descended, each_once, kind_of, measured
from lemmata.study import Config, Measurements

SIDE, CLASSES = 7, 10
STEPS: dict[Rule, float] = {"sgd": 0.01, "adagrad": 0.01, "adam": 0.001}  # of the authors' code
TIMES = (1, 3, 10, 30, 100, 300, 1000)


class Digits(Config):
    """A network y' = tanh(K y + b), forward Euler, of 49 pixels and ten numbers that start at 0 and end as scores.

    The method "hindsight" is what falls furthest of all gradient methods, with 1 to 1000 times the authors' step.
    """

    method: Literal["e-msa", "hindsight"] | Rule = "e-msa"
    rho: float = Field(default=2.0, ge=0, description="the augmentation of E-MSA")
    sign: Literal[1, -1] = Field(default=1, description="-1 for costates of the wrong sign")
    inner: int = Field(default=10, ge=1, description="iterations of L-BFGS that maximise a Hamiltonian")
    gain: float = Field(default=1.0, ge=0, description="initial weights' deviation times root width")
    layers: int = Field(default=4, ge=1)
    h: float = Field(default=0.5, gt=0, description="length of a step")
    n: int = Field(default=200, ge=1)
    iterations: int = Field(default=10, ge=1)
    tikhonov: float = Field(default=0.001, ge=0, description="price of the weights, half the square, at each layer")


def recognised(configs: Sequence[Digits]) -> list[Measurements]:
    """Train every member, all of one method and setting together."""
    return each_once(configs, _recognised)


def _recognised(configs: Sequence[Digits]) -> list[Measurements]:
    first = configs[0]
    x, y = _samples(configs)
    T = first.h * first.layers
    basis = flows.PiecewiseConstant(first.layers, T=T)
    fields = [
        flows.Plain(x.shape[-1], basis, gain=first.gain, seed=STREAMS.seed(config.seed, "weights"))
        for config in configs
    ]
    nets = [flows.Flow(field, steps=first.layers, method="forward-euler") for field in fields]
    problem = kind_of(first.sign)(
        nets, x, y, loss="cross_entropy", head=_scores, own_data=True,
        penalty=control.TimePenalty(tikhonov=first.tikhonov / first.h),
    )  # fmt: skip
    if first.method == "e-msa":
        found = control.successive_approximations(
            problem, iterations=first.iterations, rho=first.rho, inner=first.inner
        )
        values = found.objective.double().numpy()
    elif first.method == "hindsight":
        tried = np.stack(
            [
                descended(problem, rule, lr=times * STEPS[rule], iterations=first.iterations)
                for rule in RULES
                for times in TIMES
            ]
        )
        last = np.where(np.isfinite(tried[:, :, -1]), tried[:, :, -1], np.inf)
        values = tried[last.argmin(0), np.arange(len(configs))]
    else:
        values = descended(problem, first.method, lr=STEPS[first.method], iterations=first.iterations)
    return [measured(row) for row in values]


def _samples(configs: Sequence[Digits]) -> tuple[Tensor, Tensor]:
    """Digits averaged to 7 x 7, ten zeros behind, (M, n, 59), and labels: no two of consecutive seeds share one."""
    whole = data.load("mnist-5k")
    pixels = pad(avg_pool2d(whole.x, whole.x.shape[-1] // SIDE).flatten(1), (0, CLASSES))

    def draw(seed: int, which: int) -> int:
        return STREAMS.seed(seed, "digits", which)

    rows = torch.stack([apart(len(pixels), 0, config.n, config.seed, draw)[1] for config in configs])
    return pixels[rows], whole.y[rows]


def _scores(y: Tensor) -> Tensor:
    return y[..., -CLASSES:]
