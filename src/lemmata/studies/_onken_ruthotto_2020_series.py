"""A time series fitted by a neural ODE: its gradients by both approaches, what they cost, and where training ends.

The series is u(t) of u' = A u^3 (entry by entry), u(0) = (2, 0), at 30 times in [0, 1.5]; the model is
y' = W_2 tanh(W_1 y^3 + b_1) + b_2 with 50 hidden units, from the same y(0). The members of a block are one network with
an axis of members, which never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torchdiffeq import odeint, odeint_adjoint

from lemmata import flows
from lemmata.linalg import DerivativeCheck, check_gradient
from lemmata.studies._counted import Counted
from lemmata.study import Config, Curve, Measurements

A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=torch.float64).T
START = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
T, POINTS, HIDDEN = 1.5, 30, 50
STREAMS = 740_000  # added to every seed
ACCURATE = 10  # steps between two data where a trained network is judged
FAILED = 1e6
CHECKED = tuple(10.0 ** (-k / 2) for k in range(3, 15))  # steps of the derivative check
Approach = Literal["disc-opt", "opt-disc"]


class Gradient(Config):
    """The gradient at initial weights."""

    approach: Approach = "disc-opt"
    steps: int = Field(default=1, ge=1, description="steps of RK4 between two data, of disc-opt")
    rtol: float = Field(default=1e-7, gt=0, description="relative tolerance of the adaptive solver (opt-disc)")
    atol: float = Field(default=1e-9, gt=0, description="absolute tolerance of the adaptive solver (opt-disc)")
    sign: Literal[1, -1] = Field(default=1, description="-1 for an adjoint of the wrong sign")


class Training(Config):
    """Training by Adam."""

    approach: Approach = "disc-opt"
    steps: int = Field(default=1, ge=1, description="steps of RK4 between two data")
    wrong: Literal["none", "disc-opt"] = Field(default="none", description="whose adjoint has the wrong sign")
    iterations: int = Field(default=60, ge=1)
    lr: float = Field(default=0.03, gt=0, description="step size of Adam")


class Members(flows.VectorField):
    """The networks of several seeds, an axis of members before all others; Glorot's uniform weights, no biases."""

    def __init__(self, seeds: Sequence[int]):
        super().__init__()
        bound = (6 / (2 + HIDDEN)) ** 0.5
        drawn = [torch.Generator().manual_seed(seed + STREAMS) for seed in seeds]
        first, second = (
            torch.stack([(2 * torch.rand(*shape, generator=draw, dtype=torch.float64) - 1) * bound for draw in drawn])
            for shape in ((2, HIDDEN), (HIDDEN, 2))
        )
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)
        self.hidden = nn.Parameter(torch.zeros(len(seeds), 1, HIDDEN, dtype=torch.float64))
        self.out = nn.Parameter(torch.zeros(len(seeds), 1, 2, dtype=torch.float64))

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give the weights, the same at all times, as views."""
        return tuple(weight.expand(len(times), *weight.shape) for weight in self.parameters())

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y' of states (members, 1, 2)."""
        first, second, hidden, out = weights
        return torch.baddbmm(out, torch.tanh(torch.baddbmm(hidden, y**3, first)), second)

    def forward(self, t: Any, y: Tensor) -> Tensor:
        """Give y' as solvers that take their own steps ask for it."""
        return self.velocity(y, *self.parameters())


class Truth(nn.Module):
    """u' = A u^3."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Give u'."""
        return y**3 @ A


@cache
def series() -> Tensor:
    """The data: (30, 2), right to ten digits."""
    run = flows.integrate(Truth(), START, steps=100 * (POINTS - 1), T=T, method="rk4")
    return run.states[::100, 0]


def misfit(net: Members, approach: Approach, steps: int) -> Tensor:
    """The mean squared error of each member, (members,), by RK4 with so many steps between two data."""
    y = START.expand(len(net.first), 1, 2)
    if approach == "disc-opt":
        run = flows.integrate(net, y, steps=steps * (POINTS - 1), T=T, method="rk4")
        return (run.states[steps::steps, :, 0] - series()[1:, None]).square().sum((0, 2)) / POINTS
    flow = flows.Flow(net, steps=steps, T=T / (POINTS - 1), method="rk4", backward="continuous")
    total = torch.zeros(len(net.first), dtype=torch.float64)
    for wanted in series()[1:]:
        y = flow(y)
        total = total + (y[:, 0] - wanted).square().sum(1)
    return total / POINTS


def gradients(configs: Sequence[Gradient]) -> list[Measurements]:
    """Check each seed's gradient along a random direction, and count what it cost.

    An adaptive solver takes other steps for other weights, so that members run one after the other. It knows no number
    of steps, and the discretised problem no tolerances: what is the same is checked once.
    """
    return [_gradient(config) for config in configs]


def _gradient(config: Gradient) -> Measurements:
    fixed = 3 * 4 * config.steps * (POINTS - 1)
    unasked = {"steps": 1} if config.approach == "opt-disc" else {"rtol": 1.0, "atol": 1.0}
    check, cost = _checked(config.model_copy(update=unasked))  # type: ignore[arg-type]
    cost = fixed if cost is None else cost
    return Measurements.of(
        order=check.orders[1], log_error=float(np.log10(max(check.error, 1e-16))), cost=float(cost),
        saving=1 - fixed / cost, remainder=Curve(np.log10(check.steps[::-1]), _log(check.remainders[1, 0][::-1])),
    )  # fmt: skip


@cache
def _checked(config: Gradient) -> tuple[DerivativeCheck, int | None]:
    """The derivative check, and for an adaptive solver what a gradient costs."""
    net, adaptive = Members([config.seed]), config.approach == "opt-disc"
    parameters = list(net.parameters())
    weights = parameters_to_vector(parameters).detach()

    def loss(x: Tensor) -> float:
        vector_to_parameters(x, parameters)
        with torch.no_grad():
            return float(_by_solver(net, config, odeint) if adaptive else misfit(net, "disc-opt", config.steps))

    def slope(x: Tensor) -> Tensor:
        vector_to_parameters(x, parameters)
        value = _by_solver(net, config, odeint_adjoint) if adaptive else misfit(net, "disc-opt", config.steps)
        return config.sign * parameters_to_vector(torch.autograd.grad(value.sum(), parameters))

    check = check_gradient(loss, slope, weights, directions=1, steps=CHECKED, seed=config.seed + STREAMS)
    vector_to_parameters(weights, parameters)
    return check, _cost_of_solver(net, config) if adaptive else None


def _log(values: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(values, 1e-18))


def _by_solver(net: nn.Module, config: Gradient, solver: Callable[..., Any]) -> Tensor:
    """The misfit by Dormand and Prince's method with these tolerances."""
    times = torch.linspace(0, T, POINTS, dtype=torch.float64)
    states = solver(net, START[None], times, rtol=config.rtol, atol=config.atol, method="dopri5")
    return (states[1:, 0, 0] - series()[1:]).square().sum() / POINTS


def _cost_of_solver(net: Members, config: Gradient) -> int:
    """Evaluations of the field forwards, and thrice those of the adjoint equation, which asks for its products too."""
    counted = Counted(net)
    value = _by_solver(counted, config, odeint_adjoint)
    forwards = counted.count
    value.backward()
    net.zero_grad()
    return forwards + 3 * (counted.count - forwards)


def trainings(configs: Sequence[Training]) -> list[Measurements]:
    """Train all seeds at once; a wrong sign of the other approach changes nothing, and is not trained again."""
    first = configs[0]
    setting = first if first.wrong == first.approach else first.model_copy(update={"wrong": "none"})
    return list(_trained(setting, tuple(config.seed for config in configs)))  # type: ignore[arg-type]


@lru_cache(maxsize=4)
def _trained(setting: Training, seeds: tuple[int, ...]) -> tuple[Measurements, ...]:
    """Adam goes entry by entry, so that members do not meet."""
    net = Members(seeds)
    rule = torch.optim.Adam(net.parameters(), lr=setting.lr)
    sign, losses = -1 if setting.wrong == setting.approach else 1, []
    for _ in range(setting.iterations):
        rule.zero_grad()
        loss = misfit(net, setting.approach, setting.steps)
        (sign * loss.nan_to_num(posinf=1e6)).sum().backward()
        rule.step()
        losses.append(loss.detach())
    with torch.no_grad():
        end = misfit(net, "disc-opt", ACCURATE)
    log = _log(torch.stack(losses).nan_to_num(nan=FAILED, posinf=FAILED).clamp_max(FAILED).numpy().T)
    final = _log(end.nan_to_num(nan=FAILED, posinf=FAILED).clamp_max(FAILED).numpy())
    at = np.arange(setting.iterations, dtype=float)
    return tuple(Measurements.of(log_loss=float(final[i]), loss=Curve(at, log[i])) for i in range(len(seeds)))
