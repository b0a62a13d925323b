"""The method of successive approximations: training by maximising Hamiltonians, layer by layer, all layers at once.

    1. y forward, p backward, with the weights theta^k;
    2. theta_n^{k+1} = argmax over theta of H~(y_n, p_{n+1}, theta), for every layer n on its own, where

    H~ = H(y, p, theta) - rho/2 |f(y, theta) - f(y, theta^k)|^2 - rho/2 |H_y(y, p, theta) - H_y(y, p, theta^k)|^2

as a mean over samples, H = p . f - L. rho = 0 is the basic method (Krylov and Chernousko, 1962), rho > 0 the extended
one (Li, Chen, Tai and E, 2018), whose two terms are how far states and costates are from solving their equations with
the new weights. For some C which the weights do not change (their lemma 2),

    J(theta^{k+1}) - J(theta^k) <= - int Delta H dt + C int |Delta f|^2 dt + C int |Delta H_y|^2 dt

so that for rho > 2 C nothing rises. No gradient by weights enters step 1, and the layers of step 2 are one batched
problem. The weights are those of each step: a `PiecewiseConstant` basis with as many functions as steps.
Cost of an iteration: two sweeps, and in step 2 a gradient of all layers an inner iteration, or three with rho > 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import grad_and_value, vjp, vmap

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.flows.control.batched_lbfgs import batched_lbfgs
from lemmata.flows.control.problem import Problem, installed, require_problem
from lemmata.flows.flow import Flow
from lemmata.flows.required import generator_of, require_list
from lemmata.given import require_number, require_whole


@dataclass(frozen=True, eq=False)
class Approximations:
    """What K iterations did to M networks.

    `objective` (M, K + 1) is J; `gain` (M, K) is int Delta H dt and `feasibility` (M, K) int (|Delta f|^2 +
    |Delta H_y|^2) dt; `hamiltonian` (M, K, N) is H at each step before it is maximised, `raised` (M, K, N) after, with
    the states and costates before. `coefficients` are the last weights (M, N, *shape), `flows` the networks with them.
    """

    objective: Tensor
    gain: Tensor
    feasibility: Tensor
    hamiltonian: Tensor
    raised: Tensor
    coefficients: dict[str, Tensor]
    flows: list[Flow]
    rho: float

    @property
    def constant(self) -> Tensor:
        """The least C for which lemma 2 of Li et al. holds at each iteration: (M, K); NaN where nothing moved."""
        excess = self.objective.diff(dim=1) + self.gain
        return torch.where(self.feasibility > 0, excess / self.feasibility, torch.nan)

    def plot(self) -> Figure:
        """Draw the objective over iterations, and the Hamiltonian of each step at the first and last of them."""
        rows = self.objective.double().numpy()
        mean, low, high = _band(rows)
        losses = Series(label="objective J", x=range(len(mean)), y=mean, low=low, high=high, seeds=rows)
        positive = bool((rows > 0).all())
        layers = range(1, self.hamiltonian.shape[2] + 1)
        levels = [
            Series(label=label, x=layers, y=values.double().mean(0).numpy())
            for label, values in (
                ("first iteration, before", self.hamiltonian[:, 0]),
                ("first iteration, maximised", self.raised[:, 0]),
                ("last iteration, before", self.hamiltonian[:, -1]),
                ("last iteration, maximised", self.raised[:, -1]),
            )
        ]
        return Figure(
            name="successive-approximations",
            title="The method of successive approximations",
            caption=f"rho = {self.rho:g}; {len(rows)} networks, mean over them.",
            panels=[
                Panel(x=Axis(label="iteration"), y=Axis(label="objective J", log=positive), series=[losses]),
                Panel(x=Axis(label="layer"), y=Axis(label="Hamiltonian H, mean over samples"), series=levels),
            ],
        )  # fmt: skip


def successive_approximations(
    problem: Problem,
    *,
    iterations: int,
    rho: float,
    inner: int = 10,
    tolerance: float = 0.0,
    jitter: float = 0.0,
    seeds: Sequence[int] | None = None,
) -> Approximations:
    """Train M networks by successive approximations, each layer's H~ maximised by `inner` iterations of L-BFGS.

    Inner problems start from the weights of the iteration before, moved by a Gaussian of standard deviation `jitter`,
    without which weights of 0 may be a stationary point of H~ that is no maximum. These are the only random numbers,
    each member's from its own of the `seeds`, range(M) by default. Inner problems rest at gradients of `tolerance`. The
    flows are not changed.

    Raises `InvalidInput` for weights that are not constant on each step, and for a penalty on their smoothness, which
    couples layers. A member whose weights are no longer finite stays so, and the others go on.

    >>> from lemmata import flows
    >>> flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4)), steps=4, method="forward-euler")
    >>> x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [0.5, 1.0]])
    >>> found = successive_approximations(Problem(flow, x, y), iterations=20, rho=1.0)
    >>> bool(found.objective[0, -1] < 0.05 * found.objective[0, 0])
    True
    """
    require_whole(iterations, "iterations")
    require_whole(inner, "inner")
    for name, value in (("tolerance", tolerance), ("jitter", jitter)):
        if not 0 <= require_number(value, name) < torch.inf:
            raise InvalidInput(f"{name} = {value}; give a finite number, 0 or more")
    if not 0 <= require_number(rho, "rho") < torch.inf:
        raise InvalidInput(f"rho = {rho}; the augmentation is 0 (the basic method) or more")
    layers = Layers(problem)
    theta = layers.flat(problem.coefficients)
    seeds = range(len(theta)) if seeds is None else require_list(seeds, "seeds", "[0, 1]")
    if len(seeds) != len(theta):
        raise InvalidInput(f"{len(seeds)} seeds for {len(theta)} networks; give one seed a network")
    draws = [generator_of(seed) for seed in seeds]
    rows: list[tuple[Tensor, ...]] = []
    sweep = layers.sweep(theta)
    for _ in range(iterations):
        noise = jitter * torch.stack([torch.randn(theta.shape[1:], generator=d, dtype=torch.float64) for d in draws])
        moved = layers.maximise(theta, theta + noise.to(theta), *sweep[:2], rho=rho, inner=inner, tolerance=tolerance)
        before, after, distance = layers.compare(theta, moved, *sweep[:2])
        rows.append((sweep[2], before, after, distance))
        theta, sweep = moved, layers.sweep(moved)
    values, before, after, distance = (torch.stack(part, 1).detach() for part in zip(*rows, strict=True))
    coefficients, h = layers.unflat(theta), problem.h
    return Approximations(
        objective=torch.cat([values, sweep[2][:, None]], 1),
        gain=h * (after - before).sum(2),
        feasibility=h * distance.sum(2),
        hamiltonian=before,
        raised=after,
        coefficients=coefficients,
        flows=installed(problem, coefficients),
        rho=float(rho),
    )


def _band(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and band, geometric where all values are positive, as the axis is."""
    if not (rows > 0).all():
        return mean_and_band(rows)
    return tuple(np.exp(part) for part in mean_and_band(np.log(rows)))


class Layers:
    """A problem whose steps have weights of their own, flattened: theta (M, N, P)."""

    def __init__(self, problem: Problem):
        basis, steps = require_problem(problem).field.basis, problem.grid.steps
        if basis.degree != 0 or basis.size != steps:
            raise InvalidInput(
                f"weights in {basis} over {steps} steps: successive approximations want weights of its own for each "
                f"step, PiecewiseConstant({steps}, T={basis.T:g})"
            )
        if problem.penalty.smoothness:
            raise InvalidInput("a penalty on the smoothness in time couples the layers; take tikhonov alone")
        self.problem, self.tikhonov = problem, problem.penalty.tikhonov
        self.shapes = {name: theta.shape[1:] for name, theta in problem.field.coefficients.items()}

    def flat(self, coefficients: dict[str, Tensor]) -> Tensor:
        """Give coefficients (M, N, *shape) as theta (M, N, P)."""
        return torch.cat(
            [theta.flatten(2) if theta.ndim > 2 else theta[..., None] for theta in coefficients.values()], 2
        )

    def unflat(self, theta: Tensor) -> dict[str, Tensor]:
        """Give theta (..., P) as weights (..., *shape) by name."""
        parts = theta.split([shape.numel() for shape in self.shapes.values()], -1)
        return {
            name: part.reshape(*theta.shape[:-1], *shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def weights(self, theta: Tensor) -> tuple[Tensor, ...]:
        """Give theta (..., P) as weights at the nodes of its step: (..., nodes, *shape)."""
        axis, nodes = theta.ndim - 1, len(self.problem.method.nodes)
        return tuple(
            w.unsqueeze(axis).expand(*w.shape[:axis], nodes, *w.shape[axis:]) for w in self.unflat(theta).values()
        )

    def sweep(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give y_n (M, N, n, width) and p_{n+1} of the weights, and the objectives (M,)."""
        with torch.no_grad():
            weights = self.weights(theta)
            states = self.problem.states(weights)
            costates = self.problem.costates(states, weights)
            running = self.problem.h * self.tikhonov / 2 * theta.square().sum((1, 2))
            return states[:, :-1], costates[:, 1:], self.problem.losses(states[:, -1]) + running

    def hamiltonian(self, theta: Tensor, rows: Tensor, p: Tensor) -> Tensor:
        """Give H of one layer: theta (P,), rows and p (n, width) -> ()."""
        f = self.problem.velocity(rows, self.weights(theta))
        return (p * f).sum() / len(rows) - self.tikhonov / 2 * theta.square().sum()

    def fields(self, theta: Tensor, rows: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Give f and H_y of each sample, of one layer: (n, width) each."""
        f, pull, *_ = vjp(lambda r: self.problem.velocity(r, self.weights(theta)), rows)
        return f, pull(p)[0]

    def maximise(
        self, theta: Tensor, start: Tensor, rows: Tensor, p: Tensor, *, rho: float, inner: int, tolerance: float
    ) -> Tensor:
        """Give the weights that maximise H~ around theta, of all layers of all members, found from `start`."""
        rows, p = rows.flatten(0, 1), p.flatten(0, 1)
        f, g = vmap(self.fields)(theta.flatten(0, 1), rows, p) if rho else (None, None)

        def negative(own: Tensor, rows: Tensor, p: Tensor, f: Tensor | None, g: Tensor | None) -> Tensor:
            if f is None or g is None:
                return -self.hamiltonian(own, rows, p)
            new_f, new_g = self.fields(own, rows, p)
            H = (p * new_f).sum() / len(rows) - self.tikhonov / 2 * own.square().sum()
            return rho / 2 * ((new_f - f).square().sum() + (new_g - g).square().sum()) / len(rows) - H

        axes = (0, 0, 0, None, None) if f is None else (0, 0, 0, 0, 0)
        both = vmap(grad_and_value(negative), in_dims=axes)

        def function(own: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
            old = (None if part is None else part[which] for part in (f, g))
            gradient, value = both(own, rows[which], p[which], *old)
            return value, gradient

        found, _ = batched_lbfgs(function, start.flatten(0, 1), iterations=inner, tolerance=tolerance)
        return found.reshape(theta.shape)

    def compare(self, theta: Tensor, moved: Tensor, rows: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give H before and after at every layer, and the mean of |Delta f|^2 + |Delta H_y|^2: (M, N) each."""
        H = vmap(vmap(self.hamiltonian))
        (f, g), (new_f, new_g) = (vmap(vmap(self.fields))(own, rows, p) for own in (theta, moved))
        distance = (new_f - f).square().sum(3).mean(2) + (new_g - g).square().sum(3).mean(2)
        return H(theta, rows, p), H(moved, rows, p), distance
