"""Linear-quadratic control: the problem of which everything is known, to test what trains networks by.

    y' = A y + B theta(t),   J = 1/n sum_i |y_i(T) - z_i|^2 / 2 + lambda/2 int |theta|^2 dt

All samples share the control. By forward Euler, with F = I + h A and the mean state s_n of the samples,

    S_N = I, S_n = F^T (S_{n+1} - S_{n+1} B (lambda/h I + B^T S_{n+1} B)^{-1} B^T S_{n+1}) F    (Riccati)

Successive approximations are a linear iteration here. With the reach R: theta -> s_N, and R^* its adjoint in
L2(0, T), basic ones multiply the error by -R^* R / lambda; extended ones, where B^T B = beta I, by
(rho beta I - R^* R) / (lambda + rho beta). So with w the largest eigenvalue of the Gramian R R^*:

    basic converge if and only if w < lambda,   extended if and only if rho > (w - lambda) / (2 beta).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.flows.basis import Basis, PiecewiseConstant
from lemmata.flows.flow import Flow
from lemmata.flows.grid import Grid
from lemmata.flows.layers import Residual
from lemmata.flows.required import require_matrix
from lemmata.given import require_number, require_tensor


class Steered(Residual):
    """y' = A y + B theta(t), states (samples, width): `theta` (controls,) is all that is trained."""

    def __init__(self, A: Tensor, B: Tensor, basis: Basis):
        require_system(A, B)
        super().__init__({"theta": (B.shape[1],)}, basis, dtype=A.dtype)
        self.register_buffer("A", A)
        self.register_buffer("B", B)

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        (theta,) = weights
        return y @ self.A.mT + self.B @ theta  # type: ignore[operator]


def half_square(outputs: Tensor, targets: Tensor) -> Tensor:
    """Give the mean over samples of |y - z|^2 / 2."""
    if require_tensor(outputs, "outputs").shape != require_tensor(targets, "targets").shape:
        raise InvalidInput(f"outputs {tuple(outputs.shape)}, targets {tuple(targets.shape)}; give both one shape")
    return (outputs - targets).square().sum(-1).mean() / 2


def require_system(A: object, B: object) -> None:
    """Refuse what are no matrices A (d, d) and B (d, m) of one dtype."""
    A, B = require_matrix(A, "A"), require_matrix(B, "B")
    if not (A.shape[0] == A.shape[1] == B.shape[0] > 0 < B.shape[1]) or A.dtype != B.dtype:
        raise InvalidInput(
            f"A {tuple(A.shape)} in {A.dtype}, B {tuple(B.shape)} in {B.dtype}; give (d, d) and (d, m) in one dtype"
        )


@dataclass(frozen=True, eq=False)
class LinearQuadratic:
    """The problem with matrices A (d, d), B (d, m), starts and targets (n, d), in N forward Euler steps on [0, T].

    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> known = LinearQuadratic(0 * one, one, one, 0 * one, tikhonov=2.0, steps=10)
    >>> known.solution().flatten()[:2], known.value(), known.gramian()
    (tensor([-0.3333, -0.3333], dtype=torch.float64), 0.333..., tensor([[1.0000]], dtype=torch.float64))
    """

    A: Tensor
    B: Tensor
    starts: Tensor
    targets: Tensor
    tikhonov: float
    steps: int
    T: float = 1.0

    def __post_init__(self):
        require_system(self.A, self.B)
        starts, targets = require_matrix(self.starts, "starts"), require_matrix(self.targets, "targets")
        if starts.shape[1] != len(self.A) or targets.shape != starts.shape or not len(starts):
            raise InvalidInput(
                f"A {tuple(self.A.shape)}, starts {tuple(starts.shape)}, targets {tuple(targets.shape)}; give (d, d), "
                f"(n, d), (n, d)"
            )
        if not starts.dtype == targets.dtype == self.A.dtype:
            raise InvalidInput(f"A in {self.A.dtype}, starts in {starts.dtype}, targets in {targets.dtype}; give one")
        Grid(self.T, self.steps)
        if not 0 < require_number(self.tikhonov, "tikhonov") < torch.inf:
            raise InvalidInput(
                f"tikhonov = {self.tikhonov}; without a price the control has no bound: give one above 0"
            )

    @property
    def h(self) -> float:
        """The length of a step."""
        return self.T / self.steps

    def flow(self) -> Flow:
        """Give the flow that starts from controls of 0; train it with `half_square`."""
        basis = PiecewiseConstant(self.steps, T=self.T)
        return Flow(Steered(self.A, self.B, basis), steps=self.steps, method="forward-euler")

    def powers(self) -> Tensor:
        """Give F^0, ..., F^N: (N + 1, d, d)."""
        F = torch.eye(len(self.A)).to(self.A) + self.h * self.A
        powers = [torch.eye(len(F)).to(F)]
        for _ in range(self.steps):
            powers.append(powers[-1] @ F)
        return torch.stack(powers)

    def reach(self) -> Tensor:
        """Give R with s_N = F^N s_0 + R theta, theta (N m,): (d, N m)."""
        blocks = self.h * self.powers()[:-1].flip(0) @ self.B
        return blocks.permute(1, 0, 2).flatten(1)

    def gramian(self) -> Tensor:
        """Give R R^*, (d, d): the adjoint in L2(0, T) divides by h."""
        reach = self.reach()
        return reach @ reach.mT / self.h

    def solution(self) -> Tensor:
        """Give the best control (N, m) by Riccati's recursion backwards and the feedback forwards."""
        F, h, B = self.powers()[1], self.h, self.B
        mean, target = self.starts.mean(0), self.targets.mean(0)
        S, v = torch.eye(len(F)).to(F), -target  # cost to go: s^T S s / 2 + v^T s + constant
        gains: list[tuple[Tensor, Tensor]] = []
        for _ in range(self.steps):
            price = self.tikhonov * h * torch.eye(B.shape[1]).to(B) + h * h * B.mT @ S @ B
            K = torch.linalg.solve(price, h * B.mT @ S @ F)
            k = torch.linalg.solve(price, h * B.mT @ v)
            closed = F - h * B @ K
            v = closed.mT @ v
            S = F.mT @ S @ closed
            gains.append((K, k))
        controls, s = [], mean
        for K, k in reversed(gains):
            controls.append(-K @ s - k)
            s = F @ s + h * B @ controls[-1]
        return torch.stack(controls)

    def value(self, theta: Tensor | None = None) -> float:
        """Give J of controls (N, m), the best ones if none are given."""
        own = self.solution() if theta is None else require_matrix(theta, "theta")
        if own.shape != (self.steps, self.B.shape[1]) or own.dtype != self.A.dtype:
            raise InvalidInput(
                f"theta {tuple(own.shape)} in {own.dtype}; give ({self.steps}, {self.B.shape[1]}) in {self.A.dtype}"
            )
        final = self.starts @ self.powers()[-1].mT + self.reach() @ own.flatten()
        return float(half_square(final, self.targets) + self.tikhonov * self.h / 2 * own.square().sum())

    def threshold(self) -> float:
        """Give the rho above which extended successive approximations converge, where B^T B = beta I."""
        beta = self.B.mT @ self.B
        if not torch.allclose(beta, beta[0, 0] * torch.eye(len(beta)).to(beta)):
            raise InvalidInput("the threshold is known where B^T B is a multiple of the identity; give such a B")
        return float((torch.linalg.eigvalsh(self.gramian())[-1] - self.tikhonov) / (2 * beta[0, 0]))
