"""Searches for critical points of autoencoders, linear and not, from points along the paths of training.

The data are fixed: Gaussian draws, rotated and scaled so that their second moment has exactly the eigenvalues
`STRENGTHS` times `scale`. Of the linear autoencoder x -> W_2 W_1 x every critical point is then known (Baldi and
Hornik, 1989): the map is the projection onto the eigenvectors of a subset S of at most `latent` eigenvalues s, with

    loss(S) = (sum of s outside S) / 2,
    negative eigenvalues of the Hessian = #{(i in S, j not in S): s_j > s_i} + (latent - |S|) (inputs - |S|).

A member is a draw of initial weights: gradient descent with momentum from there, `starts` points of its path, spread
evenly in the logarithm of the step, and from each of them a search.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import nets
from lemmata.landscape import critical
from lemmata.landscape.critical.field import Field as Surface
from lemmata.landscape.critical.gradient_norm import Bent
from lemmata.objective import Objective
from lemmata.study import Config, Curve, Measurements

STRENGTHS = (2.0, 1.5, 1.0, 0.5)
FRESH = 7_310_000  # added to every seed: pilots used the streams without it
DATA_SEED = FRESH + 20210310
LAX = 1e-3  # a gradient norm at which earlier work might have stopped: |g|^2 = 1e-6
EVERY = 5
RESOLUTIONS = {"flat_coarse": 1e-2, "flat_fine": 1e-6}  # beside the instrument's own, 1e-4
STILL = 1e-6  # |H g| / (|H| |g|) below which |g|^2 counts as stationary
CLOSE = 1e-3  # length of Newton's step to a minimum of |g|^2, relative to 1 + |theta|


class Search(Config):
    """One draw of initial weights, and the searches from its path."""

    activation: Literal["identity", "tanh", "silu"] = "tanh"
    method: Literal["gradient_norm", "newton_mr"] = "gradient_norm"
    latent: int = Field(default=2, ge=1, le=4)
    samples: int = Field(default=20, ge=5)
    scale: float = Field(default=1.0, gt=0)
    starts: int = Field(default=5, ge=1, le=40)
    training: int = Field(default=300, ge=2)
    lr: float = Field(default=0.02, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    steps: int = Field(default=300, ge=1, description="of gradient-norm minimisation, at most")
    looks: int = Field(default=30, ge=1, description="at Newton-MR, one every five steps")
    tolerance: float = Field(default=1e-10, gt=0)


def measure(configs: Sequence[Search]) -> list[Measurements]:
    """Search from all paths at once; a member is a seed."""
    config = configs[0]
    objective = Objective(network(config, 0), loss=half_distance, data=(x := data(config), x))
    starts = paths(objective, config, [one.seed for one in configs])
    found, passed = starts.flatten(0, 1).clone(), torch.zeros(starts.shape[0] * starts.shape[1], dtype=torch.bool)
    newton = config.method == "newton_mr"
    going = torch.arange(len(found))
    for _ in range(config.looks if newton else 1):
        looked = critical.search(
            objective, found[going], method=config.method, steps=EVERY if newton else config.steps,
            tolerance=config.tolerance, polish=False, certify=False,
        )  # fmt: skip
        found[going] = looked.theta
        passed[going] |= ~looked.critical & (looked.flatness > critical.CUTOFF)
        going = going[~looked.critical]
        if not len(going):
            break
    found = critical.search(objective, found, steps=0, tolerance=config.tolerance)
    masks = {"passed": passed, "false_minima": ~found.critical & minima_of_the_gradient_norm(found)}
    for name, resolution in RESOLUTIONS.items():
        masks[name] = ~found.critical & (flatness(objective, found, resolution) > critical.CUTOFF)
    rows = torch.arange(len(found)).split(starts.shape[1])
    return [summary(found.at(own), {n: m[own] for n, m in masks.items()}, known(config)) for own in rows]


def data(config: Search) -> Tensor:
    """Samples (n, 4) whose second moment is diagonal, with exactly the eigenvalues asked for."""
    random = torch.Generator().manual_seed(DATA_SEED)
    draws = torch.randn(config.samples, len(STRENGTHS), generator=random, dtype=torch.float64)
    frame = torch.linalg.qr(draws)[0]
    return frame * (config.scale * config.samples * torch.tensor(STRENGTHS, dtype=torch.float64)).sqrt()


def half_distance(z: Tensor, y: Tensor) -> Tensor:
    """Half the squared distance, mean over samples."""
    return 0.5 * (z - y).square().sum(1).mean()


def network(config: Search, seed: int) -> torch.nn.Module:
    """The autoencoder inputs -> latent -> inputs; the linear one is without biases."""
    n, linear = len(STRENGTHS), config.activation == "identity"
    return nets.mlp(
        n, [config.latent], n, activation=config.activation, bias=not linear, initialisation="lecun", seed=FRESH + seed,
        dtype=torch.float64,
    )  # fmt: skip


def paths(objective: Objective, config: Search, seeds: Sequence[int]) -> Tensor:
    """Points of the paths of descent with momentum, (seeds, starts, P)."""
    own = [dict(network(config, seed).named_parameters()) for seed in seeds]
    theta = torch.stack([objective.vector({name: p.detach() for name, p in one.items()}) for one in own])
    chosen = np.unique(np.geomspace(1, config.training, config.starts).round().astype(int))
    velocity, kept = torch.zeros_like(theta), []
    for step in range(1, config.training + 1):
        slope = objective.vector(objective.gradient(objective.tree(theta)))
        velocity = config.momentum * velocity - config.lr / config.scale * slope
        theta = theta + velocity
        if step in chosen:
            kept.append(theta)
    return torch.stack(kept, 1)


def stationarity(found: critical.CriticalPoints) -> Tensor:
    """|H g| / (|H| |g|) at each point, |H| the spectral norm: 0 where |g|^2 is stationary."""
    objective = found.objective
    theta = objective.tree(found.theta)
    pulled = objective.vector(objective.hvp(objective.gradient(theta), theta)).norm(dim=1)
    return pulled / (found.eigenvalues.abs().amax(1) * found.gradient_norm).clamp(min=1e-300)


def minima_of_the_gradient_norm(found: critical.CriticalPoints) -> Tensor:
    """Where |g|^2 has a minimum, as far as second derivatives tell: a mask (M,).

    H g is nothing beside |H| |g|, H^2 + T[g] has no negative eigenvalue, and Newton's step from there is short. Without
    the last, a saturated unit on its way to infinity would be one.
    """
    surface = Surface(found.objective)
    g = surface.gradient(found.theta)
    bent = Bent(surface, found.theta, g)
    second = torch.stack([bent(e.expand_as(g)) for e in torch.eye(g.shape[1], dtype=g.dtype)], 2)
    values, vectors = torch.linalg.eigh((second + second.mT) / 2)
    largest = values.abs().amax(1, keepdim=True).clamp(min=1e-300)
    slope = (vectors.mT @ bent.H(g)[:, :, None])[..., 0]
    step = (slope / values.abs().clamp(min=1e-15 * largest)).norm(dim=1)
    near = step <= CLOSE * (1 + found.theta.norm(dim=1))
    return (stationarity(found) < STILL) & (values[:, 0] >= -1e-8 * largest[:, 0]) & near


def flatness(objective: Objective, found: critical.CriticalPoints, resolution: float) -> Tensor:
    """Frye's r with another share of the largest eigenvalue below which one counts as kernel."""
    return critical.polish(objective, found, steps=0, resolution=resolution, certify=False).flatness


def known(config: Search) -> list[tuple[float, int]]:
    """Loss and number of negative eigenvalues of every critical point of the linear autoencoder."""
    s = config.scale * np.array(STRENGTHS)
    n, places = len(s), range(len(s))
    listed = []
    for size in range(config.latent + 1):
        for S in combinations(places, size):
            rest = [j for j in places if j not in S]
            better = sum(bool(s[j] > s[i]) for i in S for j in rest)
            listed.append((float(s[rest].sum()) / 2, better + (config.latent - size) * (n - size)))
    return listed


def summary(found: critical.CriticalPoints, masks: dict[str, Tensor], listed: list[tuple[float, int]]) -> Measurements:
    """Shares of what the searches of one path ended at, and the points themselves in the order of their loss."""
    norm, r, at = found.gradient_norm, found.flatness, found.critical
    each = zip(at.tolist(), found.loss.tolist(), found.negative.tolist(), strict=True)
    recovered = [
        ok and any(abs(loss - value) < 1e-6 and down == count for value, count in listed) for ok, loss, down in each
    ]
    shares = {"critical": at, "flat": ~at & (r > critical.CUTOFF), "recovered": torch.tensor(recovered), **masks}
    scalars = {name: float(mask.double().mean()) for name, mask in shares.items()}
    scalars["flat_minus_critical"] = scalars["flat"] - scalars["critical"]
    scalars["coarse_minus_fine"] = scalars["flat_coarse"] - scalars["flat_fine"]
    passing = norm <= LAX
    if passing.any():
        scalars["mistaken"] = float((~at)[passing].double().mean())
    if at.any():
        scalars["lowest"] = float(found.loss[at].min())
    order, place = found.loss.argsort(), np.arange(len(found))
    ends = {"loss": found.loss, "index": found.index, "norm": norm, "flatness": r}
    curves = {f"end_{name}": Curve(place, values[order].numpy()) for name, values in ends.items()}
    return Measurements(scalars, curves=curves)
