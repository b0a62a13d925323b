"""Networks with binary weights by the maximum principle: no gradient is followed through a sign.

Where the field is linear in weights that are -1 or 1, the Hamiltonian of a layer is <theta, M> + what does not depend
on theta, with M = d(p . f)/dtheta; a price on |theta|^2 is the same for all. Its maximum less rho |theta - theta^k|^2
is known entry by entry:

    theta^{k+1} = sign(M) where |M| >= 2 rho,  theta^k elsewhere

so that rho keeps entries whose sign is in doubt, which is what makes successive approximations converge. With batches,
or to damp, M is a moving average. Where the field is not linear in theta, M is the slope at theta^k, and the rule a
heuristic. Cost of an iteration: two sweeps and one gradient of all layers.
Source: Li and Hao (2018), arXiv:1803.01299.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, vmap

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.flows.control.problem import Problem, installed
from lemmata.flows.control.successive import Layers
from lemmata.flows.flow import Flow
from lemmata.flows.required import require_list
from lemmata.given import require_number, require_whole


@dataclass(frozen=True, eq=False)
class Signs:
    """What K iterations did to M networks with binary weights.

    `objective` (M, K + 1) is J, `flipped` (M, K) the share of the binary weights that changed sign; `coefficients` are
    those of the least objective met (M, N, *shape), `flows` the networks that have them.
    """

    objective: Tensor
    flipped: Tensor
    coefficients: dict[str, Tensor]
    flows: list[Flow]

    def plot(self) -> Figure:
        """Draw the objective and the share of signs that changed over iterations, mean and 95 % band over networks."""
        panels = []
        for label, values in (("objective J", self.objective), ("share of signs that changed", self.flipped)):
            rows = values.double().numpy()
            mean, low, high = mean_and_band(rows)
            first = self.objective.shape[1] - rows.shape[1]  # flips happen in iterations 1, 2, ...
            series = Series(label=label, x=range(first, first + len(mean)), y=mean, low=low, high=high, seeds=rows)
            panels.append(Panel(x=Axis(label="iteration"), y=Axis(label=label), series=[series]))
        caption = f"{len(self.objective)} networks with weights -1 and 1."
        return Figure(name="signs", title="Binary weights by the maximum principle", caption=caption, panels=panels)


def binary_approximations(
    problem: Problem, *, names: Sequence[str], iterations: int, rho: float, momentum: float = 0.0
) -> Signs:
    """Train M networks whose weights `names` are -1 or 1, starting from the signs of the weights they have.

    `rho` is in units of M; `momentum` is the weight of the past in its moving average. All other weights are
    held. Nothing is random, and the flows are not changed. Raises `InvalidInput` as `successive_approximations` does.
    """
    require_whole(iterations, "iterations")
    if not (math.isfinite(require_number(rho, "rho")) and rho >= 0 and 0 <= require_number(momentum, "momentum") < 1):
        raise InvalidInput(f"rho = {rho}, momentum = {momentum}; give rho >= 0 and a momentum in [0, 1)")
    layers = Layers(problem)
    binary = _chosen(layers, names)
    theta = layers.flat(problem.coefficients)
    theta = torch.where(binary, torch.where(theta < 0, -1.0, 1.0).to(theta), theta)

    def gain(own: Tensor, rows: Tensor, p: Tensor) -> Tensor:
        return layers.hamiltonian(own, rows, p) + layers.tikhonov / 2 * own.square().sum()

    slope = vmap(vmap(grad(gain)))
    states, costates, value = layers.sweep(theta)
    average = torch.zeros_like(theta)
    best, least, values, flips = theta, value, [value], []
    for k in range(iterations):
        own = slope(theta, states, costates)
        average = own if k == 0 else momentum * average + (1 - momentum) * own
        moved = torch.where(binary & (average.abs() >= 2 * rho) & (average != 0), average.sign(), theta)
        flips.append((moved != theta).sum((1, 2)) / (binary.sum() * theta.shape[1]))
        theta = moved
        states, costates, value = layers.sweep(theta)
        values.append(value)
        best = torch.where((value < least)[:, None, None], theta, best)
        least = torch.minimum(value, least)
    coefficients = layers.unflat(best)
    return Signs(torch.stack(values, 1), torch.stack(flips, 1), coefficients, installed(problem, coefficients))


def _chosen(layers: Layers, names: Sequence[str]) -> Tensor:
    """Which of the flattened weights are binary: (P,)."""
    names = require_list(names, "names", "['K']")
    for name in names:
        if not isinstance(name, str) or name not in layers.shapes:
            raise UnknownName("weight", name, layers.shapes)
    if not names:
        raise InvalidInput(f"names = {names!r}; give a sequence of weights' names, as ['K']")
    return torch.cat([torch.full((shape.numel(),), name in names) for name, shape in layers.shapes.items()])
