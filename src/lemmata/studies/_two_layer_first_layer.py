"""Two-layer ReLU networks of which the first layer is trained, many at once: the setting of Du et al. and Arora et al.

    u_i = c sum_r a_r relu(w_r . x_i),    c = 1 / sqrt(m),  a_r = +-1 fixed,  w_r ~ N(0, I)

Full-batch gradient descent on half the squared error, W <- W - eta c sum_i (u_i - y_i) a_r 1{w_r . x_i >= 0} x_i. With
the scaling "mean field" c = 1 / m, and the step size is m times as large, so that the outputs start to move at the same
speed: the kernel is the same, and the weights travel sqrt(m) times as far.

Where weights are not asked for, the units' inputs Z = W X' take their place: Z <- Z - eta c a (1{Z >= 0} left) X X',
one product of 2 m n^2 flops a step instead of two of 2 m n d.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

Scaling = Literal["ntk", "mean field"]
CACHE = 2**22  # bytes of units' inputs that are descended on at once


@dataclass(frozen=True, eq=False)
class FirstLayers:
    """S networks: first layers W (S, m, d) and output weights a (S, m) of +-1."""

    W: Tensor
    a: Tensor
    scaling: Scaling = "ntk"

    @classmethod
    def drawn(cls, width: int, d: int, generators: list[torch.Generator], *, scaling: Scaling = "ntk") -> Self:
        """One network a generator, w ~ N(0, I): the law of both papers."""
        W = torch.stack([torch.randn(width, d, generator=g) for g in generators])
        a = torch.stack([torch.randint(2, (width,), generator=g) for g in generators]).float() * 2 - 1
        return cls(W, a, scaling)

    @property
    def scale(self) -> float:
        """The factor c of the output."""
        m = self.a.shape[1]
        return 1 / m if self.scaling == "mean field" else m**-0.5

    def own_steps(self, step_sizes: Tensor) -> Tensor:
        """Step sizes (S, 1, 1) of the weights, from those of the kernel (S,)."""
        return (step_sizes.float() * (self.a.shape[1] if self.scaling == "mean field" else 1))[:, None, None]

    def to(self, device: torch.device) -> Self:
        """The same networks on another device."""
        return replace(self, W=self.W.to(device), a=self.a.to(device))

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs (S, n) at x (S, n, d)."""
        return self.scale * (x @ self.W.mT).relu_().mul_(self.a[:, None]).sum(-1)


@dataclass(frozen=True, eq=False)
class Descended:
    """The networks after descent, and |y - u| (S, T) before it and after every step."""

    networks: FirstLayers
    residual: Tensor


def descend(networks: FirstLayers, x: Tensor, y: Tensor, *, step_sizes: Tensor, steps: int) -> Descended:
    """Run so many steps on x (S, n, d) and y (S, n), each network with its own step size (S,), in float32."""
    W, a = networks.W.clone(), networks.a[..., None]
    c, eta = networks.scale, networks.own_steps(step_sizes)
    norms = []
    for step in range(steps + 1):
        Z = x @ W.mT  # (S, n, m)
        on = (Z >= 0).float()
        left = c * (Z.mul_(on) @ a) - y[..., None]
        norms.append(left[..., 0].double().norm(dim=1))
        if step < steps:
            W.sub_(eta * c * a * (on.mul_(left).mT @ x))
    return Descended(FirstLayers(W, networks.a, networks.scaling), torch.stack(norms, 1))


def residuals(networks: FirstLayers, x: Tensor, y: Tensor, *, step_sizes: Tensor, steps: int) -> Tensor:
    """The `residual` (S, T) of `descend` without its networks, in whichever space a step takes fewer products."""
    n, d = x.shape[1:]
    if n > 2 * d:
        return descend(networks, x, y, step_sizes=step_sizes, steps=steps).residual
    kernels = networks.scale * networks.own_steps(step_sizes) * (x @ x.mT)
    at_once = max(1, CACHE // (networks.a.shape[1] * n * x.element_size()))
    parts = [
        _of_units(W @ points.mT, a, kernel, labels, c=networks.scale, steps=steps)
        for W, a, points, kernel, labels in zip(
            *(whole.split(at_once) for whole in (networks.W, networks.a, x, kernels, y)), strict=True
        )
    ]
    return torch.cat(parts)


def _of_units(Z: Tensor, a: Tensor, kernel: Tensor, y: Tensor, *, c: float, steps: int) -> Tensor:
    """Residuals from units' inputs Z (S, m, n), which are changed, and eta c X X' (S, n, n)."""
    outer, signs = a[:, None], a[..., None].expand_as(Z)
    room, norms = torch.empty_like(Z), []
    for step in range(steps + 1):
        left = torch.baddbmm(-y[:, None], outer, torch.clamp(Z, min=0, out=room), alpha=c)  # (S, 1, n)
        norms.append(left[:, 0].double().norm(dim=1))
        if step < steps:
            torch.ops.aten.threshold_backward.grad_input(signs, Z, 0, grad_input=room)  # a where a unit is on
            Z.baddbmm_(room, left.mT * kernel, alpha=-1)
    return torch.stack(norms, 1)
