"""Networks of many widths beside their own linearisations: the runs of the study of Lee et al. (2019)."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, kernels, nets, training
from lemmata.study import Config, Curve, Measurements

POINTS = 14  # times at which network and linearisation are compared
BIAS_DEVIATION = 0.1  # what `nets.mlp` gives the biases of the NTK parameterisation


class Problem(Config):
    """Even against odd digits: the first `n` for training, the next `test` to compare on; targets -1 and 1."""

    data: Literal["digits", "cifar10"] = "digits"
    n: int = Field(default=50, ge=2, description="training examples")
    test: int = Field(default=50, ge=1, description="test examples")
    width: int = Field(default=128, ge=1)
    depth: int = Field(default=2, ge=1, description="hidden layers")
    weight_deviation: float = Field(default=1.5, gt=0, description="sigma_w")
    steps: int = Field(default=200, ge=10)
    step_size: float = Field(default=0.25, gt=0, description="in units of the critical one, 2 over the largest rate")


class Beside(Problem):
    """One network trained by full-batch descent, beside its linearisation at the start."""

    parameterisation: Literal["ntk", "mean-field"] = "ntk"
    momentum: float = Field(default=0.0, ge=0, lt=1)

    @property
    def scale(self) -> float:
        """The output's factor: 1, or 1/sqrt(width), which with a step size times width learns features at any width."""
        return 1.0 if self.parameterisation == "ntk" else 1 / math.sqrt(self.width)


def run_beside(configs: Sequence[Beside]) -> list[Measurements]:
    """Train all seeds at once, and their linearisations in closed form; compare on the test examples."""
    first = configs[0]
    x, y, z = examples(first)
    start = [network(config) for config in configs]
    scaled = [kernels.ScaledModel(model, first.scale, centred=False) for model in start]
    times = marks(first.steps)
    rule, lr = training.SGD, first.step_size * critical_step(first, x)
    linear = kernels.LinearisedTraining.of(start, x, y, x_test=z, scale=first.scale).run(
        times, rule(lr=lr, momentum=first.momentum)
    )
    assert linear.test_outputs is not None
    targets = linear.test_outputs.float()
    finite = targets.isfinite().flatten(2).all(2).numpy()
    targets = targets.nan_to_num(0.0, 0.0, 0.0)
    probes = {
        f"gap{t}": training.Probe(z, targets[:, k], metric="mse", at=training.epochs_at([t]))
        for k, t in enumerate(times)
    }
    result = training.train(
        scaled, x, y, loss="mse", optimiser=rule(lr=lr / first.scale**2, momentum=first.momentum), epochs=first.steps,
        probes=probes,
    )  # fmt: skip
    gaps = torch.stack([result.curves[f"gap{t}"][1][:, 0] for t in times], 1).sqrt().numpy()
    gaps[~finite] = math.inf
    if bool(result.diverged.any()):
        return [_measured(config, times, gaps[i]) for i, config in enumerate(configs)]
    away = kernels.distance_from_initialisation(result.states, scaled).total_relative.tolist()
    changed = [_kernel_change(start[i], result.model(i).get_submodule("network"), x) for i in range(len(start))]
    loss = result.final["train_loss"].tolist()
    return [
        _measured(
            config,
            times,
            gaps[i],
            relative_distance=away[i],
            kernel_change=changed[i],
            loss=loss[i],
            linear_loss=float(linear.train_loss[i, -1]),
        )
        for i, config in enumerate(configs)
    ]


def examples(config: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Training inputs (n, d) of norm sqrt(d), targets (n, 1), and test inputs."""
    whole = data.load(config.data)
    x = whole.x[: config.n + config.test].flatten(1).float()
    x = x / x.norm(dim=1, keepdim=True) * math.sqrt(x.shape[1])
    y = torch.where(whole.y[: config.n] % 2 == 0, 1.0, -1.0)[:, None]
    return x[: config.n], y, x[config.n :]


def network(config: Problem, member: int = 0) -> nn.Module:
    """A tanh perceptron in the NTK parameterisation; `member` counts networks of one seed."""
    inputs = {"digits": 64, "cifar10": 3072}[config.data]
    seed = torch.Generator().manual_seed(1000 * config.seed + member)
    return nets.mlp(
        inputs, [config.width] * config.depth, 1, activation="tanh", initialisation="ntk",
        gain=config.weight_deviation, seed=seed,
    )  # fmt: skip


def law(config: Problem) -> kernels.FullyConnected:
    """What the network is at infinite width."""
    return kernels.FullyConnected(
        depth=config.depth + 1, activation="tanh", weight_variance=config.weight_deviation**2,
        bias_variance=BIAS_DEVIATION**2,
    )  # fmt: skip


def critical_step(config: Problem, x: Tensor) -> float:
    """The largest stable step size of the infinitely wide network on the mean squared error."""
    kernel = kernels.analytic_ntk(x.double(), network=law(config))
    return kernels.LinearisedTraining(kernel, torch.zeros(len(x), 1)).critical_step()


def marks(steps: int) -> list[int]:
    """The steps at which is compared: evenly spaced in their logarithm, the last among them."""
    return sorted({round(float(t)) for t in np.geomspace(1, steps, POINTS)})


def _kernel_change(before: nn.Module, after: nn.Module, x: Tensor) -> float:
    """|Theta_t - Theta_0| / |Theta_0| in the Frobenius norm, on the training examples."""
    start, now = (kernels.empirical_ntk(model, x).values.double() for model in (before, after))
    return float((now - start).norm() / start.norm())


def _measured(config: Beside, times: list[int], gaps: np.ndarray, **more: Any) -> Measurements:
    """What the claims are about; where the network or its linearisation diverges, they are infinitely far apart."""
    if not np.isfinite(gaps).all():
        return Measurements.of(gap=math.inf, gap_at_end=math.inf)
    return Measurements.of(gap=gaps.max(), gap_at_end=gaps[-1], gaps=Curve(np.array(times), gaps), **more)
