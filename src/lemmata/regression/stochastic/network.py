"""The loss of a network on its data as a function known by samples: any `Objective`, drawn sample by sample.

theta is the flat vector of the objective's parameters (`Objective.vector`). Nothing is known of it beforehand: no
minimiser, no constants, so that runs are measured by the loss itself. The gradients of S points, each on its own batch,
are taken in one call. Cost: a gradient of S times batch samples a step.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.func import grad, vmap

from lemmata.errors import InvalidInput
from lemmata.objective import Objective, Subject
from lemmata.regression.stochastic.problem import Draws, StochasticProblem


def network(subject: Subject) -> StochasticProblem:
    """The mean loss of a model on data, drawn with replacement, as a `StochasticProblem` of its parameters.

    `expected` is the loss on all the data. The minimum is not known: `minimum` is 0, a lower bound of both losses, so
    that a run's `gap` is the loss itself. Raises `InvalidInput` for a model in training mode, whose loss depends on
    the batch.

    >>> from torch import nn
    >>> x = torch.linspace(-1, 1, 20)[:, None]
    >>> problem = network((nn.Linear(1, 1), "mse", (x, 2 * x)))
    >>> problem.size, problem.gradient(torch.zeros(3, 2), (torch.zeros(3, 4, dtype=torch.int64),)).shape
    (2, torch.Size([3, 2]))
    """
    objective = Objective.of(subject)
    if objective.mode == "train":
        raise InvalidInput("in training mode the loss depends on the batch; give an objective with mode='eval'")
    x = torch.cat([part for part, _ in objective.batches])
    y = torch.cat([part for _, part in objective.batches])

    def mean(theta: Tensor, rows: Tensor) -> Tensor:
        return objective.loss(objective.outputs(objective.tree(theta), x[rows]), y[rows])

    def draw(n: int, generator: Generator) -> Draws:
        return (torch.randint(len(x), (n,), generator=generator, device=generator.device).to(x.device),)

    def expected(theta: Tensor) -> Tensor:
        flat = theta.reshape(-1, objective.size)
        return objective.value(objective.tree(flat)).reshape(theta.shape[:-1])

    return StochasticProblem(
        name="network", size=objective.size, dtype=objective.dtype, device=objective.device, draw=draw,
        gradient=lambda theta, draws: vmap(grad(mean))(theta, draws[0]),
        loss=lambda theta, draws: vmap(mean)(theta, draws[0]), expected=expected, minimum=0.0,
        whole=objective,
    )  # fmt: skip
