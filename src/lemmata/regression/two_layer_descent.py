"""Full-batch gradient descent on two-layer ReLU regression networks, many at once, watched for stability.

    f(x) = v . relu(W x + b) + c,    loss = sum_i (f(x_i) - y_i)^2,    step sizes eta_1 for W, b and eta_2 for v, c

Beside training loss and test risk (mean absolute error), the *stability number* is recorded: with the Jacobians J_1 and
J_2 of the outputs by the two layers' parameters, K = eta_1 J_1 J_1' + eta_2 J_2 J_2' (n, n) is the Gauss-Newton
Hessian of the loss, preconditioned by the step sizes, up to its zero eigenvalues and a factor of two; a step of
gradient descent takes the residuals r to (I - 2 K) r to first order, so that they grow where

    stability number = lambda_max(K) > 1.

For ReLU everything is explicit: with D = [W x + b > 0] and H = relu(W x + b), both (n, h),
J_1 J_1' = (X X' + 1) * (D diag(v^2) D') and J_2 J_2' = H H' + 1.

Reference: Cohen et al. (2021), Gradient descent on neural networks typically occurs at the edge of stability,
arXiv:2103.00065, for sharpness against 2 / eta. Cost: O(n d h) a step and member, O(n^3) a recorded step.
Fails: the stability number leaves out the curvature of f itself, which matters while residuals are large, so that it
tells why descent is unstable, and the loss tells that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band


class TwoLayer(NamedTuple):
    """Parameters of S networks: W (S, h, d), b (S, h), v (S, h), c (S,).

    >>> net = TwoLayer(torch.ones(1, 2, 3), torch.zeros(1, 2), torch.ones(1, 2), torch.zeros(1))
    >>> net.hidden(torch.ones(1, 4, 3)).shape
    torch.Size([1, 4, 2])
    """

    W: Tensor
    b: Tensor
    v: Tensor
    c: Tensor

    def hidden(self, X: Tensor) -> Tensor:
        """relu(W x + b) for inputs (S, n, d): (S, n, h)."""
        return torch.baddbmm(self.b[:, None], X, self.W.mT).relu_()

    def output(self, hidden: Tensor) -> Tensor:
        """Give v . hidden + c: (S, n)."""
        return (hidden @ self.v[..., None])[..., 0] + self.c[:, None]


@dataclass(frozen=True)
class Descent:
    """What was recorded after each number of `steps` (T,): `loss`, `risk` and `stability`, each (S, T)."""

    steps: Tensor
    loss: Tensor
    risk: Tensor
    stability: Tensor

    def plot(self) -> Figure:
        """Draw the risk, the training loss and the stability number against the steps, every network and their mean."""
        panels = []
        for label, values in (("risk", self.risk), ("training loss", self.loss), ("stability number", self.stability)):
            mean, low, high = mean_and_band(values.cpu().double().numpy())
            series = Series(
                label=label, x=self.steps.cpu().numpy(), y=mean, low=low, high=high, seeds=values.cpu().numpy()
            )
            edge = [Reference(label="unstable above", value=1.0, role="theory")] if label == "stability number" else []
            y = Axis(label=label, log=label == "training loss")
            panels.append(Panel(x=Axis(label="steps", log=True), y=y, series=[series], references=edge))
        return Figure(name="descent", title="Gradient descent", caption="Every network and their mean.", panels=panels)


def descend(
    net: TwoLayer,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    step_sizes: tuple[float, float],
    steps: Sequence[int],
) -> Descent:
    """Train S networks on S training sets, and record after each number of steps in `steps` (increasing).

    `train` and `test` are inputs (S, n, d) and targets (S, n). Everything is computed in the dtype of the inputs; use
    float64 to compare losses. Nothing is random. A member that diverges goes on with infinite or NaN values.

    >>> net = TwoLayer(torch.ones(1, 1, 1), torch.zeros(1, 1), torch.ones(1, 1), torch.zeros(1))
    >>> data = torch.ones(1, 1, 1), torch.full((1, 1), 2.0)
    >>> descend(net, data, data, step_sizes=(0.1, 0.1), steps=[0, 1]).loss
    tensor([[1.0000, 0.0144]])
    """
    marks = list(steps)
    if not marks or marks[0] < 0 or any(a >= b for a, b in pairwise(marks)):
        raise InvalidInput("steps must be a non-empty increasing sequence of numbers of steps, 0 or more")
    X, y = train
    rows = []
    for k in range(marks[-1] + 1):
        H = net.hidden(X)
        residual = net.output(H) - y
        if k == marks[len(rows)]:
            rows.append((residual.square().sum(-1), _risk(net, *test), stability_number(net, X, H, step_sizes)))
        net = _step(net, X, H, residual, step_sizes)
    loss, risk, stability = (torch.stack(column, dim=-1) for column in zip(*rows, strict=True))
    return Descent(torch.tensor(marks), loss, risk, stability)


def stability_number(net: TwoLayer, X: Tensor, H: Tensor, step_sizes: tuple[float, float]) -> Tensor:
    """Largest eigenvalue (S,) of eta_1 J_1 J_1' + eta_2 J_2 J_2'; `H` = net.hidden(X). NaN for a diverged member.

    >>> net = TwoLayer(torch.ones(1, 1, 1), torch.zeros(1, 1), torch.ones(1, 1), torch.zeros(1))
    >>> X = torch.ones(1, 1, 1)
    >>> stability_number(net, X, net.hidden(X), (0.1, 0.1))
    tensor([0.4000])
    """
    D = H.sign()
    first = (X @ X.mT + 1) * ((D * net.v[:, None] ** 2) @ D.mT)
    K = step_sizes[0] * first + step_sizes[1] * (H @ H.mT + 1)
    finite = torch.isfinite(K).all(-1).all(-1)
    top = torch.linalg.eigvalsh(torch.where(finite[:, None, None], K, torch.zeros_like(K)))[..., -1]
    return torch.where(finite, top, torch.nan)


def _step(net: TwoLayer, X: Tensor, H: Tensor, residual: Tensor, step_sizes: tuple[float, float]) -> TwoLayer:
    g = 2 * residual[..., None]
    back = H.sign().mul_(net.v[:, None]).mul_(g)  # H >= 0, so that its sign says which units are on
    first, second = step_sizes
    return TwoLayer(
        torch.baddbmm(net.W, back.mT, X, alpha=-first),
        net.b - first * back.sum(1),
        net.v - second * (g.mT @ H)[:, 0],
        net.c - second * g.sum((1, 2)),
    )


def _risk(net: TwoLayer, X: Tensor, y: Tensor) -> Tensor:
    return (net.output(net.hidden(X)) - y).abs().mean(-1)
