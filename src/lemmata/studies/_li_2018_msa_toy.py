"""Training a residual network to be a sine, by Hamiltonians and by gradients."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from lemmata import flows
from lemmata.flows import control
from lemmata.studies._li_2018_msa_training import STREAMS, Rule, descended, each_once, kind_of, measured
from lemmata.study import Config, Measurements

WIDTH = 5


class Toy(Config):
    """A network y' = tanh(K y + b) of width 5 on [0, 5], forward Euler; it gives the sum of y(T), of x repeated."""

    method: Literal["msa", "e-msa"] | Rule = "e-msa"
    rho: float = Field(default=15.0, ge=0, description="the augmentation of E-MSA")
    sign: Literal[1, -1] = Field(default=1, description="-1 for costates of the wrong sign")
    inner: int = Field(default=10, ge=1, description="iterations of L-BFGS that maximise a Hamiltonian")
    gain: float = Field(default=0.3, ge=0, description="initial weights' deviation times root width")
    layers: int = Field(default=10, ge=1)
    n: int = Field(default=30, ge=1)
    iterations: int = Field(default=20, ge=1)
    sgd_lr: float = Field(default=0.1, gt=0)
    adagrad_lr: float = Field(default=0.1, gt=0)
    adam_lr: float = Field(default=0.005, gt=0)
    tikhonov: float = Field(default=0.001, ge=0, description="price of the weights, half the square, at each layer")


def trained(configs: Sequence[Toy]) -> list[Measurements]:
    """Train every member, all of one method and setting together."""
    return each_once(configs, _trained)


def _trained(configs: Sequence[Toy]) -> list[Measurements]:
    first = configs[0]
    members = [_member(config) for config in configs]
    nets = [flow for flow, _ in members]
    x = torch.stack([x for _, x in members])
    problem = kind_of(first.sign)(
        nets, x.expand(-1, -1, WIDTH), x.sin(), head=_summed, own_data=True,
        penalty=control.TimePenalty(tikhonov=first.tikhonov / nets[0].grid.h),
    )  # fmt: skip
    if first.method in ("msa", "e-msa"):
        found = control.successive_approximations(
            problem,
            iterations=first.iterations,
            rho=first.rho if first.method == "e-msa" else 0.0,
            inner=first.inner,
            jitter=0.005,
            seeds=[STREAMS.seed(config.seed, "jitter") for config in configs],
        )
        rows = zip(found.objective.double().numpy(), found.constant.double().numpy(), strict=True)
        return [measured(*row) for row in rows]
    lr = {"sgd": first.sgd_lr, "adagrad": first.adagrad_lr, "adam": first.adam_lr}[first.method]
    return [measured(row) for row in descended(problem, first.method, lr=lr, iterations=first.iterations)]


def _member(config: Toy) -> tuple[flows.Flow, Tensor]:
    """A member's network and its samples (n, 1), uniform on [-pi, pi], from streams of their own."""
    basis = flows.PiecewiseConstant(config.layers, T=5.0)
    field = flows.Plain(WIDTH, basis, gain=config.gain, seed=STREAMS.seed(config.seed, "weights"))
    x = (2 * torch.rand(config.n, 1, generator=STREAMS.generator(config.seed, "samples")) - 1) * torch.pi
    return flows.Flow(field, steps=config.layers, method="forward-euler"), x


def _summed(y: Tensor) -> Tensor:
    return y.sum(-1, keepdim=True)
