"""Students and teachers for the study of Simsek et al. (2021): how often the flow ends in a global minimum, and where.

The teacher's incoming vectors lie evenly on a circle, turned at random, and its output weights alternate in sign.
"""

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from lemmata.landscape import symmetry
from lemmata.studies import _simsek_2021_flow as flows
from lemmata.study import Config, Measurements

RADIUS = 2.0
GLOBAL = 1e-8  # of the targets' variance: a loss that counts as zero; local minima are above 1e-4
SETTLED = 1e-20  # a loss that knows weights to its sixth root, 5e-4, even where three neurons meet in one
NEAR = 1e-2  # teacher neurons are 2 apart


class Runs(Config):
    """`starts` students of the teacher's `neurons` and `extra` more, for at most `steps` of the integrator."""

    neurons: int = Field(default=6, ge=2)
    extra: int = Field(default=0, ge=0)
    grows: bool = False
    other: bool = False
    starts: int = Field(default=20, gt=0)
    steps: int = Field(default=600, gt=0)


def teacher(neurons: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Incoming vectors (r, 2) and output weights (r,)."""
    turn = torch.rand((), generator=random, dtype=torch.float64)
    angle = 2 * math.pi * (torch.arange(neurons, dtype=torch.float64) / neurons + turn)
    V = RADIUS * torch.stack([angle.cos(), angle.sin()], 1)
    return V, 1.0 - 2.0 * (torch.arange(neurons, dtype=torch.float64) % 2)


def students(count: int, neurons: int, random: torch.Generator) -> Tensor:
    """Random starts (count, 3 n): incoming vectors of the teacher's size, output weights of deviation 1."""
    W = RADIUS * torch.randn(count, 2 * neurons, generator=random, dtype=torch.float64)
    return torch.cat([W, torch.randn(count, neurons, generator=random, dtype=torch.float64)], 1)


def run(configs: Sequence[Runs]) -> list[Measurements]:
    """All starts of all seeds at once: the share that ends at zero loss, and whether those ends lie on the manifold."""
    one, seeds = configs[0], list(dict.fromkeys(config.seed for config in configs))
    wanted = one.neurons + (one.extra if one.grows else 0)
    x, weights = flows.plane()
    teachers, starts = {}, []
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        teachers[seed] = teacher(wanted, random)
        starts.append(students(one.starts, one.neurons + one.extra, random))
    targets = torch.cat([flows.outputs(torch.cat([V.flatten(), b])[None], x) for V, b in teachers.values()])
    task = flows.Task(x, weights, targets.repeat_interleave(one.starts, 0))
    ends, steps = flows.flow(torch.cat(starts), task, steps=one.steps)
    losses = flows.local(ends, task).loss
    shares = losses / task.variance
    found = []
    for config in configs:
        k, (V, b) = seeds.index(config.seed), teachers[config.seed]
        own = slice(k * one.starts, (k + 1) * one.starts)
        measured = _manifold(ends[own][losses[own] <= SETTLED], V, -b if config.other else b)
        measured |= {"reached": _share(shares[own] <= GLOBAL), "settled": _share(losses[own] <= SETTLED)}
        measured["steps_taken"] = float(steps[own].mean())
        found.append(Measurements(scalars=measured, arrays={"losses": shares[own].sort().values.numpy()}))
    return found


def _manifold(ends: Tensor, V: Tensor, b: Tensor) -> dict[str, float]:
    """The share of these ends (S, 3 n) on the teacher's expansion manifold; nothing where there are none."""
    if not len(ends):
        return {}
    n = ends.shape[1] // 3
    W, a = ends[:, : 2 * n].reshape(-1, n, 2), ends[:, 2 * n :]
    found = symmetry.membership(W, a, teacher_incoming=V, teacher_outgoing=b, tolerance=NEAR)
    return {"on_manifold": _share(found.on_manifold), "copies": float((found.labels >= 0).double().sum(1).mean())}


def _share(true: Tensor) -> float:
    return float(true.double().mean())
