"""Three methods near two saddles of the plane in `dauphin_2014`, where every step is known in closed form.

    classical    f = ratio x^2 - y^2         a step multiplies y by 1 + 1 / ratio (gradient descent, step size one over
                                             the largest curvature), 2 (saddle-free), 0 (Newton, and x as well)
    monkey       f = x^3 - 3 x y^2           the distance to the saddle by 1/2 (Newton), 3/2 (saddle-free, once it runs
                                             down one of the three valleys)

A member starts at a distance `start` from the saddle, in a direction of its seed's.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._dauphin_2014_network import seed_of
from lemmata.studies._dauphin_2014_newton import Method, newton_step
from lemmata.study import Config, Curve, Measurements

AWAY = 1.0  # the distance at which a method counts as escaped
STEPS, SHORT = 20_000, 60  # at most, of gradient descent and of the others
DRAWN = 60  # steps that are kept of a path
ANGLE = 102  # purpose of a stream


class Surface(Config):
    """A surface, a method, and where it starts."""

    surface: Literal["classical", "monkey"] = "classical"
    ratio: float = Field(default=5.0, ge=1, description="curvature up over curvature down, of the classical saddle")
    method: Method = "gradient"
    start: float = Field(default=1e-6, gt=0, description="distance to the saddle")


def follow(configs: Sequence[Surface]) -> list[Measurements]:
    """Follow the method from the starts of all members of the block at once, until all are away or out of steps."""
    config = configs[0]
    angles = np.array([angle(member.seed) for member in configs])
    at = config.start * torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], 1))
    path = [at]
    for _ in range(STEPS if config.method == "gradient" else SHORT):
        away = at.norm(dim=1) >= AWAY
        if bool(away.all()):
            break
        at = torch.where(away[:, None], at, at + step(config, at))  # who is away stays there: x^3 has no bottom
        path.append(at)
    return [_described(config, own) for own in torch.stack(path, 1).numpy()]


def angle(seed: int) -> float:
    """The direction in which a seed starts, in radians, off the axes."""
    return (0.1 + 0.8 * np.random.default_rng(seed_of(seed, ANGLE)).random()) * np.pi / 2


def _described(config: Surface, path: np.ndarray) -> Measurements:
    """What a path (T, 2) says."""
    distance = np.linalg.norm(path, axis=1)
    away = distance >= AWAY
    end = int(np.argmax(away)) + 1 if away.any() else len(path)
    found: dict[str, Any] = {"after_one": distance[1] / distance[0], "steps": end - 1.0 if away.any() else np.inf}
    followed = np.abs(path[:, 1]) if config.surface == "classical" else distance
    if followed[4] > 0:
        found["growth"] = (followed[8] / followed[4]) ** 0.25
    shown = np.unique(np.geomspace(1, end, DRAWN).astype(int)) - 1
    shown = shown[distance[shown] > 0]
    return Measurements.of(distance=Curve(shown, distance[shown]), **found)


def step(config: Surface, at: Tensor) -> Tensor:
    """The step of the member's method at (1, 2)."""
    g, H = derivatives(config, at)
    if config.method == "gradient":
        largest = 2 * config.ratio if config.surface == "classical" else 6 * AWAY  # of curvatures on the way
        return -g / largest
    return newton_step(H, g, absolute=config.method == "saddle-free", flat=0.0)


def derivatives(config: Surface, at: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (M, 2) and Hessian (M, 2, 2) at points (M, 2)."""
    x, y = at.T
    if config.surface == "classical":
        g = torch.stack([2 * config.ratio * x, -2 * y], 1)
        H = torch.diag(torch.tensor([2 * config.ratio, -2.0], dtype=at.dtype)).expand(len(at), 2, 2)
        return g, H
    g = torch.stack([3 * x**2 - 3 * y**2, -6 * x * y], 1)
    H = torch.stack([torch.stack([6 * x, -6 * y], 1), torch.stack([-6 * y, -6 * x], 1)], 1)
    return g, H
