"""Three methods near a saddle of a small network in `dauphin_2014`: who falls in, who leaves, and when.

The saddle is the point where all hidden units are 0 and the output biases are what is best then, certified. A member
starts at 1e-3 and at `nearer` from it, in one random direction of its seed. It has escaped where the loss is
`LEFT` times the saddle's. Near the saddle the most negative eigenvalue decides: to come from 1e-6 to where it would
have started from 1e-3,

    gradient descent     log 1000 / log(1 + eta |lambda_min|) steps, eta one over the largest eigenvalue
    saddle-free          log_2 1000 = 9.97 steps, whatever the eigenvalues

A linear model (`hidden` 0) has no saddle; it starts at a distance of 1 from its only critical point.
"""

from collections.abc import Sequence
from math import log

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.landscape import critical
from lemmata.objective import Objective
from lemmata.studies._dauphin_2014_network import Network, objective, seed_of
from lemmata.studies._dauphin_2014_newton import Method, descend
from lemmata.study import Curve, Measurements

LEFT = 0.99
NEAR = 1e-3
DIRECTION = 100  # purpose of a stream


class Escape(Network):
    """A method and how long it runs."""

    method: Method = "gradient"
    nearer: float = Field(default=1e-6, gt=0, lt=NEAR, description="distance of the second start")
    steps: int = Field(default=40, ge=1, description="after which the losses of all methods are compared")
    longest: int = Field(default=200, ge=1, description="steps in which gradient descent may escape")


def escape(configs: Sequence[Escape]) -> list[Measurements]:
    """Run the method from both distances for all seeds of the block at once."""
    config, seeds = configs[0], sorted({config.seed for config in configs})
    L = objective(config)
    saddle = stationary(config, L)
    directions = torch.stack([_direction(L.size, seed) for seed in seeds])
    distances = (NEAR, config.nearer) if config.hidden else (1.0, 1.0)
    start = torch.cat([saddle.theta + distance * directions for distance in distances])
    longest = max(config.steps, config.longest) if config.method == "gradient" else config.steps
    path = descend(L, start, config.method, steps=longest, step_size=1 / largest_curvature(saddle))
    loss = L.value(L.tree(path.flatten(0, 1))).view(longest + 1, 2, len(seeds)).numpy()
    distance = (path - saddle.theta).norm(dim=2).view(longest + 1, 2, len(seeds)).numpy()
    place = {seed: i for i, seed in enumerate(seeds)}
    return [
        _measured(member, loss[..., place[member.seed]], distance[..., place[member.seed]], saddle)
        for member in configs
    ]


def stationary(config: Network, L: Objective) -> critical.CriticalPoints:
    """The critical point that one step of Newton's method from 0 ends at, the same for every seed.

    At 0 the Hessian does not couple the output biases to other weights, and only their gradient is not 0. For a linear
    model, whose loss is quadratic, the point is its minimum.
    """
    return critical.polish(L, torch.zeros(1, L.size, dtype=torch.float64), tolerance=1e-8)


def largest_curvature(saddle: critical.CriticalPoints) -> float:
    """The largest |eigenvalue| at a point."""
    return float(saddle.eigenvalues[0].abs().max())


def _direction(size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed_of(seed, DIRECTION))
    drawn = torch.randn(size, generator=generator, dtype=torch.float64)
    return drawn / drawn.norm()


def _measured(config: Escape, loss: np.ndarray, distance: np.ndarray, saddle: critical.CriticalPoints) -> Measurements:
    """Losses and distances (T + 1, 2) from both starts, and what they say."""
    height, lowest, largest = float(saddle.loss[0]), float(saddle.eigenvalues[0, 0]), largest_curvature(saddle)
    times = [escape_time((height - path) / ((1 - LEFT) * height)) for path in loss.T]
    found = {}
    if np.isfinite(times).all() and lowest < 0:
        found["extra"] = times[1] - times[0]
        found["extra_over_predicted"] = found["extra"] / (log(NEAR / config.nearer) / log(1 - lowest / largest))
    shown = np.unique(np.geomspace(1, len(loss), 80).astype(int)) - 1
    return Measurements.of(
        escape=times[0],
        final_loss=loss[config.steps, 0],
        final_distance=distance[config.steps, 0],
        height=height,
        lowest=lowest,
        largest=largest,
        index=float(saddle.index[0]),
        certified=float(saddle.distance[0]),
        loss=Curve(shown, loss[shown, 0]),
        **found,
    )


def escape_time(drop: np.ndarray) -> float:
    """When a path of drops (T,), in units of what counts as escaped, passes 1; its logarithm is straight between steps.

    >>> escape_time(np.array([0.01, 0.1, 10.0]))
    1.5
    """
    if not (drop >= 1).any():
        return np.inf
    i = int(np.argmax(drop >= 1))
    before = max(drop[i - 1], 1e-300) if i else drop[i]
    return i - 1 + float(np.log(1 / before) / np.log(drop[i] / before)) if i else 0.0
