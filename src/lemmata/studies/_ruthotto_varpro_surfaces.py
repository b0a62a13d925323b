"""Loss surfaces of one hidden layer, as the lecture draws them, and the derivative of the reduced objective.

Layer: the lecture's script draws the cross-entropy of a network made by itself, in the plane of two random directions,
one of the weights W and one of the inner weights K. Neuron: the misfit of a single unit w s(k x + b) to data that it
made itself, over k and b, with w fixed at the truth and with w always the best.
A function is not convex along a line by its *excess*: how far it rises above a chord, over the range on the surface.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.data import synthetic
from lemmata.linalg.derivative_check import check_gradient
from lemmata.regression.single_layer import reduced_objective
from lemmata.study import Config, Measurements

ACTIVATIONS = {"tanh": torch.tanh, "identity": lambda z: z}


class Surface(Config):
    """One surface; a seed draws the network, the data and the directions."""

    network: Literal["layer", "neuron"] = "layer"
    along: Literal["weights", "inner"] = Field(default="inner", description="the lines on which convexity is asked")
    activation: Literal["tanh", "identity"] = "tanh"
    n: int = Field(default=50, ge=5)
    points: int = Field(default=41, ge=5)


def surfaces(configs: Sequence[Surface]) -> list[Measurements]:
    """Evaluate the surfaces, and how far they are from convex along their lines."""
    return [(_neuron if config.network == "neuron" else _layer)(config) for config in configs]


def _layer(config: Surface) -> Measurements:
    """Rows are steps along K, columns along W: 50 inputs, 40 units, 3 classes."""
    g = torch.Generator().manual_seed(config.seed)
    inputs, units, classes = 50, 40, 3
    W, K, dW, dK, x = (
        torch.randn(*shape, generator=g, dtype=torch.float64)
        for shape in ((units + 1, classes), (inputs, units), (units + 1, classes), (inputs, units), (config.n, inputs))
    )
    activation = ACTIVATIONS[config.activation]
    steps = torch.linspace(-1, 1, config.points, dtype=torch.float64)
    observed = (_with_ones(activation(x @ K + 0.1)) @ W).softmax(1)
    Z = _with_ones(activation(x @ (K + steps[:, None, None] * dK) + 0.1))  # (points, n, units + 1)
    outputs = (Z @ W)[:, None] + steps[:, None, None] * (Z @ dW)[:, None]
    surface = -(observed * outputs.log_softmax(-1)).sum(-1).mean(-1).numpy()
    return _judged(surface, surface.T if config.along == "inner" else surface, steps)


def _neuron(config: Surface) -> Measurements:
    """Rows are biases b, columns slopes k; lines along both are asked."""
    g = torch.Generator().manual_seed(config.seed)
    k, b = (torch.randn(2, generator=g, dtype=torch.float64) + torch.tensor([1.5, 0.0])).tolist()
    x = 6 * torch.rand(config.n, generator=g, dtype=torch.float64) - 3
    activation = ACTIVATIONS[config.activation]
    target = activation(k * x + b)
    steps = torch.linspace(-4, 4, config.points, dtype=torch.float64)
    unit = activation(steps[None, :, None] * x + steps[:, None, None])  # (b, k, n)
    fixed = (unit - target).square().mean(-1) / 2
    best = (unit @ target)[..., None] / unit.square().sum(-1, keepdim=True).clamp_min(1e-12)
    projected = (best * unit - target).square().mean(-1) / 2
    found = _judged(fixed.numpy(), np.concatenate([fixed.numpy(), fixed.numpy().T]), steps)
    return Measurements(found.scalars, found.errors, found.curves, {**found.arrays, "projected": projected.numpy()})


def _judged(surface: np.ndarray, lines: np.ndarray, steps: Tensor) -> Measurements:
    return Measurements.of(excess=excess(lines) / np.ptp(surface), surface=surface, steps=steps)


def excess(lines: np.ndarray) -> float:
    """The largest height of a function above one of its chords, over lines (L, T) at equally spaced points; O(L T^3).

    >>> excess(np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]))
    1.0
    """
    T = lines.shape[1]
    worst = 0.0
    for i in range(T - 2):
        for k in range(i + 2, T):
            share = np.arange(1, k - i) / (k - i)
            chords = lines[:, [i]] * (1 - share) + lines[:, [k]] * share
            worst = max(worst, float((lines[:, i + 1 : k] - chords).max()))
    return worst


def _with_ones(Z: Tensor) -> Tensor:
    return torch.cat([Z, torch.ones_like(Z[..., :1])], -1)


# ---- the derivative --------------------------------------------------------------------------------------------------


class Derivative(Config):
    """The reduced objective of a classification problem, its inner problem solved to a tolerance."""

    inner_tolerance: float = Field(default=1e-10, gt=0)
    n: int = Field(default=200, ge=20)
    units: int = Field(default=8, ge=1)
    ridge: float = Field(default=1e-3, gt=0)


def derivative(configs: Sequence[Derivative]) -> list[Measurements]:
    """Check the partial gradient as the gradient of the reduced objective, by Taylor remainders."""
    return [_checked(config) for config in configs]


def _checked(config: Derivative) -> Measurements:
    draw = torch.Generator().manual_seed(config.seed)
    x, y = synthetic.peaks_classes(config.n, generator=draw)
    reduced = reduced_objective(
        config.units, x, y, loss="cross_entropy", ridge=config.ridge, inner_tolerance=config.inner_tolerance,
        seed=config.seed,
    )  # fmt: skip
    start = reduced.start
    check = check_gradient(
        lambda theta: reduced.at(theta).value, lambda theta: reduced.at(theta).gradient, start, seed=config.seed
    )
    return Measurements.of(
        order=min(check.orders[1], 3.0), error=check.error, remainders=np.median(check.remainders, axis=1),
        steps=check.steps,
    )  # fmt: skip
