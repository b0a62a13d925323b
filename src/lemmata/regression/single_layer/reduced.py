"""The reduced objective of variable projection: what is left of a network's loss when its last layer is always best.

    j(theta) = min_W J(theta, W),   J = loss([H(theta) 1] W) + ridge_w/2 |W|^2 + ridge_theta/2 |theta|^2

Its gradient is the partial gradient of J at the best W,  dj/dtheta = dJ/dtheta (theta, W(theta)),  since
dJ/dW = 0 there: no derivative of W(theta) is needed (Golub and Pereyra, 1973). That holds as far as the inner problem
is solved: an error e of W enters the gradient as d2J/dtheta dW e, in the first order, while it enters j in the second.

Cost: a forward pass and an inner solution for the value, a backward pass for the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from lemmata.regression.single_layer.features import Features, Point


@dataclass
class At:
    """The reduced objective at one theta: its value, the best weights (in `inner`), and its gradient when wanted."""

    theta: Tensor
    value: float
    inner: Any  # Projected or Settled
    features: Point
    ridge: float
    _gradient: Tensor | None = field(default=None, repr=False)

    @property
    def gradient(self) -> Tensor:
        """dj/dtheta, (p,): one backward pass, unless it is known already."""
        if self._gradient is None:
            self.know(self.features.pull(self.inner.slope @ self.inner.weights[:-1].T))
        return cast(Tensor, self._gradient)

    def know(self, data_term: Tensor) -> None:
        """Take the gradient of the data term from whoever has it: a Jacobian that was formed anyway."""
        self._gradient = data_term + self.ridge * self.theta

    def foresee(self, theta: Tensor) -> Tensor:
        """The best weights at another theta to first order, W + dW/dtheta (theta - own): a push and a solution."""
        moved, inner = self.features.push(theta - self.theta), self.inner
        mixed = inner.Z.T @ inner.bend(moved @ inner.weights[:-1])
        mixed[:-1] += moved.T @ inner.slope
        return inner.weights - inner.solve(mixed)


@dataclass
class Reduced:
    """j, with the features and the inner problem (`LeastSquares` or `CrossEntropy`) that it is made of."""

    features: Features
    problem: Any
    ridge: float
    evaluations: int = field(default=0, init=False)

    @property
    def start(self) -> Tensor:
        """The features' own parameters, flat."""
        return self.features.start

    @property
    def outputs(self) -> int:
        """The number k of outputs or classes."""
        return self.problem.outputs

    def at(self, theta: Tensor, near: At | None = None) -> At:
        """Evaluate at theta (p,); an iterative inner solution starts from what that of `near` lets one foresee."""
        self.evaluations += 1
        point = self.features.at(theta)
        if near is None or self.problem.direct:
            inner = self.problem.best(with_ones(point.H))
        else:
            inner = self.problem.best(with_ones(point.H), near.inner, near.foresee(theta))
        value = inner.value + self.ridge / 2 * float(theta @ theta)
        return At(theta, value, inner, point, self.ridge)

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """J and its gradient: what `lemmata.regression.minimise` and `lemmata.linalg.check_gradient` ask for."""
        at = self.at(theta)
        return at.value, at.gradient


def with_ones(H: Tensor) -> Tensor:
    """[H 1]: the features and the constant that the biases of the last layer multiply."""
    return torch.cat([H, H.new_ones(len(H), 1)], 1)
