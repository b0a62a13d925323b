"""How far a network is from Pontryagin's maximum principle.

    H(y, p, theta) = p . f(y, theta) - L(theta)
    y' = dH/dp,    -p' = dH/dy,  p(T) = -grad Phi(y(T)),    H(y, p, theta(t)) = max over theta, at every t

for the mean over samples. States and costates solve their equations to rounding, by one sweep each way; what is left is
that the weights maximise H. Where they are an interior maximum, dH/dtheta = 0. Its negative is the derivative of the
objective by the function theta(t), here exactly that of the discrete problem: with weights sum_k B_k(t) theta_k,

    dJ/dtheta_k = penalty's - sum_n h B_k(t_n) d(p_{n+1} . f_h)/dtheta_n

(with the method's own nodes in place of t_n). The residual is the norm of this function in L2(0, T) as far as the basis
sees it, sqrt(g^T M^-1 g) with M the basis' Gram matrix, which does not depend on how finely time is cut.
Cost: a forward pass, and three of gradients.
Sources: Pontryagin et al. (1962); Li, Chen, Tai and E (2018, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import vjp, vmap

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.flows.control.penalty import rows_of
from lemmata.flows.control.problem import Problem, require_problem
from lemmata.flows.required import require_kind


@dataclass(frozen=True, eq=False)
class Conditions:
    """Where M networks stand with the maximum principle.

    `objective` (M,) is J, `states` and `costates` (M, N + 1, n, width) are of single samples; `hamiltonian` (M, N) is
    the mean over samples of p_{n+1} . f_h at each step, without L; `slopes` (M, N) are the norms of its derivatives by
    the weights of the step. `gradient` has dJ/dtheta_k (M, size, *shape), `residual` (M,) is its norm in L2(0, T).
    """

    objective: Tensor
    states: Tensor
    costates: Tensor
    hamiltonian: Tensor
    slopes: Tensor
    gradient: dict[str, Tensor]
    residual: Tensor
    times: Tensor

    def plot(self) -> Figure:
        """Draw the Hamiltonian and its slope over time; the range over members is the band, if there are any."""
        middle = ((self.times[1:] + self.times[:-1]) / 2).numpy()
        panels = [
            Panel(x=Axis(label="time t"), y=Axis(label=label, log=log), series=[_over_members(short, middle, values)])
            for label, short, values, log in (
                ("Hamiltonian p . f, mean over samples", "p . f", self.hamiltonian, False),
                ("norm of dH/dtheta without the penalty", "|dH/dtheta|", self.slopes, True),
            )
        ]
        found = ", ".join(f"{value:.3g}" for value in self.residual[:4].tolist())
        return Figure(
            name="pontryagin",
            title="Hamiltonian along the layers",
            caption=f"Residual of the maximum principle, in L2 over time: {found}.",
            panels=panels,
        )


def _over_members(label: str, x: np.ndarray, values: Tensor) -> Series:
    rows = values.detach().double().cpu().numpy()
    low, high = (rows.min(0), rows.max(0)) if len(rows) > 1 else (None, None)
    return Series(label=label, x=x, y=rows.mean(0), low=low, high=high)


def pontryagin(problem: Problem, coefficients: dict[str, Tensor] | None = None) -> Conditions:
    """Measure states, costates, the Hamiltonian and what is left of the maximum principle, at the flows' own weights.

    `coefficients` (M, size, *shape) by name take the place of the flows' own. Nothing is random, nothing is changed.

    >>> from lemmata import flows
    >>> flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4)), steps=4, method="forward-euler")
    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> found = pontryagin(Problem(flow, x, y))
    >>> found.costates.shape, torch.equal(found.states[0, 0], x)
    (torch.Size([1, 5, 1, 2]), True)
    """
    known = require_problem(problem).coefficients
    theta = known if coefficients is None else require_kind(coefficients, dict, "coefficients", "problem.coefficients")
    for name in {**known, **theta}:
        value, wanted = theta.get(name), known.get(name)
        if (
            not isinstance(value, Tensor)
            or wanted is None
            or (value.shape, value.dtype) != (wanted.shape, wanted.dtype)
        ):
            raise InvalidInput(f"coefficients: {name!r} does not fit; give those of problem.coefficients, changed")
    weights, pull, *_ = vjp(vmap(problem.nodes), theta)
    with torch.no_grad():
        states = problem.states(weights)
        costates = problem.costates(states, weights)
    samples, h = states.shape[2], problem.h

    def slope(rows: Tensor, weights: tuple[Tensor, ...], p: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        value, back, *_ = vjp(lambda *own: (p * problem.velocity(rows, own)).sum() / samples, *weights)
        return value, back(torch.ones_like(value))

    hamiltonian, slopes = vmap(vmap(slope))(states[:, :-1], weights, costates[:, 1:])
    (own,) = pull(tuple(-h * part for part in slopes))
    gradient, square = {}, torch.zeros(len(states), dtype=torch.float64)
    mass, Q = problem.field.basis.gram(), problem.penalty.matrix(problem.field.basis)
    for name, value in theta.items():
        g = rows_of(own[name]) + Q.to(value) @ rows_of(value)
        gradient[name] = g.reshape(value.shape).detach()
        long = rows_of(gradient[name]).double().cpu()
        square += (long * torch.linalg.solve(mass, long)).sum((1, 2))
    norms = torch.stack([part.sum(2).flatten(2).square().sum(2) for part in slopes]).sum(0).sqrt()
    objective = problem.losses(states[:, -1]) + problem.penalties(theta)
    return Conditions(
        objective.detach(), states, costates, hamiltonian.detach(), norms.detach(), gradient, square.sqrt(),
        problem.grid.times,
    )  # fmt: skip
