"""What splitting a neuron of a small student's minimum makes, for the study of Simsek et al. (2021): minima, saddles.

With one output the Hessian of the wide network at a split point is, in suitable coordinates, that of the small one, one
zero along the line of shares, and share (1 - share) M with M = E[(f - f*) a sigma''(w x) x x'] of the neuron that is
split: so the number of negative eigenvalues is that of the small one and that of share (1 - share) M.
"""

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from lemmata.landscape import symmetry
from lemmata.studies import _simsek_2021_flow as flows
from lemmata.studies._simsek_2021_students import students, teacher
from lemmata.study import Config, Measurements

NEGATIVE = 1e-8  # eigenvalues below minus this are negative
STOPPED = 20  # steps after which a run that is stopped on its way is


class Split(Config):
    """A minimum of a student of `small` neurons of a teacher of `neurons`, one of its neurons split in two shares."""

    neurons: int = Field(default=5, ge=2)
    small: int = Field(default=4, ge=1)
    share: float = 0.5
    sum: float = 1.0
    stopped: bool = False
    starts: int = Field(default=8, gt=0)
    steps: int = Field(default=400, gt=0)


def split(configs: Sequence[Split]) -> list[Measurements]:
    """Gradient and index of the wide networks, one for each neuron split, beside what is predicted."""
    minima = {config.seed: config for config in configs}
    found = {seed: _minimum(config) for seed, config in minima.items()}  # one for all shares of a seed
    return [_measured(config, *found[config.seed]) for config in configs]


def _minimum(config: Split) -> tuple[Tensor, flows.Task]:
    """The best minimum (3 r,) that the flow finds, with its task; the teacher itself where it has as many neurons."""
    x, weights = flows.plane()
    random = torch.Generator().manual_seed(config.seed)
    V, b = teacher(config.neurons, random)
    own = torch.cat([V.flatten(), b])
    task = flows.Task(x, weights, flows.outputs(own[None], x))
    if config.small >= config.neurons:
        return own, task
    every = flows.Task(x, weights, task.y.expand(config.starts, -1))
    starts = students(config.starts, config.small, random)
    ends = flows.flow(starts, every, steps=STOPPED if config.stopped else config.steps)[0]
    at = flows.local(ends, every)
    settled = at.gradient.norm(dim=1) <= (math.inf if config.stopped else 1e-11)
    return ends[torch.where(settled, at.loss, math.inf).argmin()], task


def _measured(config: Split, theta: Tensor, task: flows.Task) -> Measurements:
    r = len(theta) // 3
    small = flows.local(theta[None], task)
    base = _negative(small.hessian)[0]
    wide = torch.stack([_with_split(theta, j, config.share, config.sum) for j in range(r)])
    at = flows.local(wide, flows.Task(task.x, task.weights, task.y.expand(r, -1)))
    index = _negative(at.hessian)
    predicted = base + _negative(config.share * (1 - config.share) * small.second[0])
    opposite = 1.5 if 0 < config.share < 1 else 0.5  # a share for which share * (1 - share) has the other sign
    elsewhere = torch.stack([_with_split(theta, j, opposite, 1.0) for j in range(r)])
    outside = _negative(flows.local(elsewhere, flows.Task(task.x, task.weights, task.y.expand(r, -1))).hessian)
    return Measurements.of(
        gradient=float(at.gradient.norm(dim=1).max()),
        small_gradient=float(small.gradient.norm()),
        small_loss=float(small.loss[0] / task.variance[0]),
        small_index=float(base),
        index=float(index.double().mean()),
        predicted=float(predicted.double().mean()),
        index_off=float((index - predicted).abs().max()),
        saddles=float((index > 0).double().mean()),
        saddle_on_every_line=float(((index > 0) | (outside > 0)).double().mean()),
        zero_directions=float((torch.linalg.eigvalsh(at.hessian).abs() <= NEGATIVE).sum(1).double().mean()),
    )


def _with_split(theta: Tensor, neuron: int, share: float, total: float) -> Tensor:
    """A student (3 r,) as one of r + 1 neurons, by the instrument's splitting; shares of another sum where asked."""
    r = len(theta) // 3
    state = {"0.weight": theta[: 2 * r].reshape(r, 2), "1.weight": theta[None, 2 * r :]}
    wide = symmetry.split(state, 0, neuron, shares=[share, 1 - share])
    wide["1.weight"][0, -1] *= (total - share) / (1 - share) if share != 1 else 1.0
    return torch.cat([wide["0.weight"].flatten(), wide["1.weight"].flatten()])


def _negative(matrices: Tensor) -> Tensor:
    """How many eigenvalues of each symmetric matrix (..., p, p) are negative."""
    return (torch.linalg.eigvalsh(matrices) < -NEGATIVE).sum(-1)
