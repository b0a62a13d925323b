"""How far M perceptrons can be perturbed at once before their training error rises by a tenth.

    sigma    largest with  E_u training error(theta + u) - training error(theta) <= 0.1,   u_i ~ N(0, sigma^2)
    sigma'   the same with                                              u_i ~ N(0, sigma'^2 theta_i^2 + epsilon^2)

sigma is a standard deviation, and epsilon is 1e-3 (Jiang et al. 2020). The expectation is the mean over the
same few draws of u / sigma for every sigma, so that what is searched is a function and not an estimate. It is searched
on a grid of 1,024 values from 1e-4 to 10, 1.1 % apart: found is a value at which the rise is allowed, while it is not
at the next. Each network goes its own way there: by the rise's growth like a power of sigma, which takes about half of
the evaluations of bisection. Measures: 1 / sigma, 1 / sigma', and |theta - theta_0| / sigma ("pac-bayes"), whose square
is the divergence of the two Gaussian laws.

Cost: five or six times `draws` forward passes over the training set.
"""

from dataclasses import replace
from math import log

import torch
from torch import Tensor

from lemmata.studies._jiang_2020_measures import forward
from lemmata.studies._jiang_2020_networks import Group, States

RISE = 0.1
EPSILON = 1e-3
LEAST, MOST, CELLS = 1e-4, 10.0, 1024  # of sigma
CELL = log(MOST / LEAST) / CELLS
FIRST = {
    False: 576,
    True: 740,
}  # where the search begins, and networks of the laptop scale end: only time depends on it
POWER = 2.0  # of sigma, by which the rise is thought to grow where only one value is known
BEYOND = 0.05  # of an interval: how far across the supposed place the next value lies, so that both its ends move


def largest_sigma(group: Group, draws: list[States], *, magnitude: bool) -> Tensor:
    """The sigma (M,) float64 of each network; `draws` are Gaussian numbers of the states' shapes.

    A network whose error never rises so much has the last value below `MOST`, one whose error does at once `LEAST`.
    """
    before = training_error(group, group.result.states)
    low, high = torch.zeros_like(before), torch.full_like(before, CELLS)
    rises = before.new_full((2, len(before)), torch.nan)  # at both ends, where they have been looked at
    place = torch.full_like(before, FIRST[magnitude])
    while (searching := high - low > 1).any():
        rows = searching.nonzero()[:, 0]
        sigma = (log(LEAST) + CELL * place[rows]).exp()
        rise = _mean_error(group, draws, rows, sigma, magnitude) - before[rows]
        inside = rise <= RISE
        low[rows], high[rows] = (
            torch.where(inside, place[rows], low[rows]),
            torch.where(inside, high[rows], place[rows]),
        )
        rises[:, rows] = torch.where(torch.stack([inside, ~inside]), rise, rises[:, rows])
        place = _next(low, high, rises.clamp_min(1e-4))
    return (log(LEAST) + CELL * low).exp()


def _next(low: Tensor, high: Tensor, rises: Tensor) -> Tensor:
    """Where to look next between the ends: (M,) whole numbers."""
    logs = rises.log() - log(RISE)  # NaN at ends that have not been looked at
    width = high - low
    secant = low - logs[0] * width / (logs[1] - logs[0])
    secant += torch.where(secant - low < high - secant, BEYOND, -BEYOND) * width
    step = 2 + 1.25 * logs.abs() / (POWER * CELL)
    found = torch.where(logs[0].isnan(), high - step[1], torch.where(logs[1].isnan(), low + step[0], secant))
    return torch.minimum(torch.maximum(found.round(), low + 1), high - 1)


def _mean_error(group: Group, draws: list[States], rows: Tensor, sigma: Tensor, magnitude: bool) -> Tensor:
    """The mean over draws of the training errors of some networks (m,), each with its sigma (m,)."""
    some = replace(group, x=group.x[rows], y=group.y[rows])
    states = {name: value[rows] for name, value in group.result.states.items()}
    sigma = sigma.to(group.x.dtype)
    errors = [
        training_error(some, perturbed(states, {name: value[rows] for name, value in u.items()}, sigma, magnitude))
        for u in draws
    ]
    return torch.stack(errors).mean(0)


def perturbed(states: States, draw: States, sigma: Tensor, magnitude: bool) -> States:
    """Theta + u, where u has the law of `magnitude`, each network its own sigma (M,)."""
    found = {}
    for name, value in states.items():
        own = sigma.view(-1, *[1] * (value.ndim - 1))
        scale = (own * value).square().add_(EPSILON**2).sqrt_() if magnitude else own
        found[name] = torch.addcmul(value, draw[name], scale)
    return found


def training_error(group: Group, states: States) -> Tensor:
    """The share of training examples that each network puts into a wrong class: (M,) float64."""
    return (forward(group, states)[-1].argmax(2) != group.y).double().mean(1)


def gaussian_draws(group: Group, seeds: list[int], draws: int) -> list[States]:
    """So many draws of standard Gaussian numbers; those of a network follow from its own seed, and are those of others
    of the same seed and architecture.
    """
    found = []
    for draw in range(draws):
        of_seed = {seed: torch.Generator().manual_seed(seed + draw) for seed in dict.fromkeys(seeds)}
        drawn = {
            seed: {name: torch.randn(value.shape[1:], generator=of) for name, value in group.result.states.items()}
            for seed, of in of_seed.items()
        }
        found.append(
            {name: torch.stack([drawn[seed][name] for seed in seeds]).to(group.x.device) for name in group.initial}
        )
    return found
