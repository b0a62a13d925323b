"""Training a residual network to be a sine, by Hamiltonians and by gradients; a linear problem solved exactly."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import flows, training
from lemmata.flows import control
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements

STREAMS = Streams("weights", "samples", "linear", "jitter", first=520_000)
WIDTH = 5
LATE = 5  # iterations at the end, over which a training has settled or not
Method = Literal["msa", "e-msa", "sgd", "adam"]


class Toy(Config):
    """A network y' = tanh(K y + b) of width 5 on [0, 5], forward Euler; it gives the sum of y(T), of x repeated."""

    method: Method = "e-msa"
    rho: float = Field(default=15.0, ge=0, description="the augmentation of E-MSA")
    inner: int = Field(default=10, ge=1, description="iterations of L-BFGS that maximise a Hamiltonian")
    gain: float = Field(default=0.3, ge=0, description="initial weights' deviation times root width")
    layers: int = Field(default=10, ge=1)
    n: int = Field(default=30, ge=1)
    iterations: int = Field(default=20, ge=1)
    sgd_lr: float = Field(default=0.1, gt=0)
    adam_lr: float = Field(default=0.005, gt=0)
    tikhonov: float = Field(default=0.001, ge=0, description="price of the weights, half the square, at each layer")


def trained(configs: Sequence[Toy]) -> list[Measurements]:
    """Train every member; those of one method and setting together."""
    first = configs[0]
    members = [_member(config) for config in configs]
    nets = [flow for flow, _ in members]
    x = torch.stack([x for _, x in members])
    penalty = control.TimePenalty(tikhonov=first.tikhonov / nets[0].grid.h)
    if first.method in ("msa", "e-msa"):
        problem = control.Problem(
            nets, x.expand(-1, -1, WIDTH), x.sin(), head=_summed, penalty=penalty, own_data=True
        )  # fmt: skip
        rho = first.rho if first.method == "e-msa" else 0.0
        found = control.successive_approximations(
            problem,
            iterations=first.iterations,
            rho=rho,
            inner=first.inner,
            jitter=0.005,
            seeds=[STREAMS.seed(config.seed, "jitter") for config in configs],
        )
        values = found.objective.double().numpy()
        constants = found.constant.double().numpy()
    else:
        rule = training.GD(lr=first.sgd_lr) if first.method == "sgd" else training.Adam(lr=first.adam_lr)
        at = training.epochs_at(range(first.iterations + 1))
        run = training.train(
            [_Summed(net) for net in nets], x.expand(-1, -1, WIDTH).contiguous(), x.sin(), loss="mse",
            optimiser=rule, epochs=first.iterations, recipe=penalty, train_at=at,
            probes={"price": training.WeightProbe(lambda states: _price(penalty, nets[0], states), at)},
        )  # fmt: skip
        values = (run.curves["train_loss"][1] + run.curves["price"][1]).double().numpy()
        constants = np.full((len(values), first.iterations), np.nan)
    return [_measured(row, constant) for row, constant in zip(values, constants, strict=True)]


def _member(config: Toy) -> tuple[flows.Flow, Tensor]:
    """A member's network and its samples (n, 1), uniform on [-pi, pi], from streams of their own."""
    basis = flows.PiecewiseConstant(config.layers, T=5.0)
    field = flows.Plain(WIDTH, basis, gain=config.gain, seed=STREAMS.seed(config.seed, "weights"))
    x = (2 * torch.rand(config.n, 1, generator=STREAMS.generator(config.seed, "samples")) - 1) * torch.pi
    return flows.Flow(field, steps=config.layers, method="forward-euler"), x


def _summed(y: Tensor) -> Tensor:
    return y.sum(-1, keepdim=True)


class _Summed(nn.Module):
    def __init__(self, flow: flows.Flow):
        super().__init__()
        self.flow = flow

    def forward(self, x: Tensor) -> Tensor:
        return _summed(self.flow(x))


def _price(penalty: control.TimePenalty, net: flows.Flow, states: Mapping[str, Tensor]) -> Tensor:
    assert isinstance(net.field, flows.Residual)
    basis = net.field.basis
    return torch.stack([penalty.of(basis, theta.reshape(*theta.shape[:2], -1)) for theta in states.values()]).sum(0)


def _measured(values: np.ndarray, constants: np.ndarray) -> Measurements:
    """What is read off the objectives after 0, 1, ... iterations."""
    logs = np.log10(values)
    early = min(5, len(values) - 1)
    known: dict[str, Any] = {"constant": float(np.nanmax(constants))} if np.isfinite(constants).any() else {}
    return Measurements.of(
        late=float(logs[-LATE:].max() - logs.min()),
        early=float(logs[early] - logs[0]),
        total=float(logs[-1] - logs[0]),
        rises=float((np.diff(values[: early + 1]) > 0).mean()),
        loss=Curve(np.arange(len(values)), values),
        **known,
    )


class Linear(Config):
    """Linear-quadratic control, width 3, two controls, where the rho that E-MSA needs is known exactly."""

    price: float = Field(default=0.5, gt=0, lt=1, description="lambda over the largest eigenvalue of the Gramian")
    layers: int = Field(default=12, ge=1)
    iterations: int = Field(default=20, ge=5)


FACTORS = np.array([0.25, 0.5, 0.75, 1.25, 1.5])  # the prediction is none of them


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
    penalty = control.TimePenalty(tikhonov=known.tikhonov)
    problem = control.Problem(known.flow(), starts, targets, loss=control.half_square, penalty=penalty)
    growth = []
    for factor in FACTORS:
        found = control.successive_approximations(
            problem, iterations=config.iterations, rho=float(factor * top / 4), inner=6, tolerance=1e-13
        )
        gap = (found.objective[0] - known.value()).clamp_min(1e-300).log()
        growth.append(float(gap[-1] - gap[-4]) / 6)  # the gap is quadratic in the error
    return Measurements.of(
        critical=float(np.interp(0.0, -np.array(growth), FACTORS)), growth=Curve(FACTORS, np.exp(growth))
    )
