"""How far M perceptrons can be perturbed at once before their training error rises by a tenth.

    sigma    largest with  E_u training error(theta + u) - training error(theta) <= 0.1,   u_i ~ N(0, sigma^2)
    sigma'   the same with                                              u_i ~ N(0, sigma'^2 theta_i^2 + epsilon^2)

sigma is a standard deviation, and epsilon is 1e-3 (Jiang et al. 2020). The expectation is the mean over the
same few draws of u / sigma for every sigma, so that what is searched is a function and not an estimate; bisection on
log sigma from 1e-4 to 10. Measures: 1 / sigma, 1 / sigma', and |theta - theta_0| / sigma ("pac-bayes"), whose square is
the divergence of the two Gaussian laws.

Cost: `draws` x `STEPS` forward passes over the training set.
"""

from math import log

import torch
from torch import Tensor

from lemmata.studies._jiang_2020_measures import forward
from lemmata.studies._jiang_2020_networks import Group, States

RISE = 0.1
EPSILON = 1e-3
LEAST, MOST, STEPS = 1e-4, 10.0, 10  # of sigma: ten halvings of five decades, 1.1 % at the end


def largest_sigma(group: Group, draws: list[States], *, magnitude: bool) -> Tensor:
    """The sigma (M,) float64 of each network; `draws` are Gaussian numbers of the states' shapes.

    A network whose error never rises so much has `MOST`, one whose error does at once `LEAST`.
    """
    states = group.result.states
    allowed = training_error(group, states) + RISE
    low, high = (allowed.new_full(allowed.shape, log(end)) for end in (LEAST, MOST))
    for _ in range(STEPS):
        middle = (low + high) / 2
        sigma = middle.exp().to(group.x.dtype)
        errors = torch.stack([training_error(group, perturbed(states, u, sigma, magnitude)) for u in draws]).mean(0)
        inside = errors <= allowed
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return low.exp()


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
