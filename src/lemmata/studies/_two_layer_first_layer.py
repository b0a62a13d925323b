"""Two-layer ReLU networks of which the first layer is trained, many at once: the setting of Du et al. and Arora et al.

    u_i = c sum_r a_r relu(w_r . x_i),    c = 1 / sqrt(m),  a_r = +-1 fixed,  w_r ~ N(0, I)

Full-batch gradient descent on half the squared error, W <- W - eta c sum_i (u_i - y_i) a_r 1{w_r . x_i >= 0} x_i. With
the scaling "mean field" c = 1 / m, and the step size is m times as large, so that the outputs start to move at the same
speed: the kernel is the same, and the weights travel sqrt(m) times as far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

Scaling = Literal["ntk", "mean field"]


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
    c, m = networks.scale, networks.a.shape[1]
    eta = (step_sizes.float() * (m if networks.scaling == "mean field" else 1))[:, None, None]
    norms = []
    for step in range(steps + 1):
        Z = x @ W.mT  # (S, n, m)
        on = (Z >= 0).float()
        left = c * (Z.mul_(on) @ a) - y[..., None]
        norms.append(left[..., 0].double().norm(dim=1))
        if step < steps:
            W.sub_(eta * c * a * (on.mul_(left).mT @ x))
    return Descended(FirstLayers(W, networks.a, networks.scaling), torch.stack(norms, 1))
