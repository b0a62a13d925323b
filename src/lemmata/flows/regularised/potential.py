"""Fields that are gradients, f = -grad Phi(y, t), as transport wants them, and how far Phi is from its equation.

The best transport between two laws, at the price of int |f|^2 / 2 dt, has f = -grad Phi with (Hamilton-Jacobi-Bellman)

    d Phi / dt = |grad Phi|^2 / 2

so that what is left of it, |d Phi/dt - |grad Phi|^2 / 2|, can be summed up along trajectories as a penalty (OT-Flow:
Onken, Fung, Li and Ruthotto, 2021). Derivatives of Phi are by automatic differentiation, exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lemmata.errors import InvalidInput
from lemmata.flows.field import State, VectorField, require_called_as_field
from lemmata.flows.regularised.quantities import Rule
from lemmata.flows.required import generator_of, require_dtype, require_rows
from lemmata.given import require_whole


class Descent(VectorField):
    """y' = -grad_y Phi(y, t) for a module `potential(t, y)` that gives (n,) of y (n, width).

    >>> class Bowl(nn.Module):
    ...     def forward(self, t, y):
    ...         return -(y**2).sum(1) / (2 * (1 + t))
    >>> field = Descent(Bowl())
    >>> field(1.0, torch.ones(1, 2))
    tensor([[0.5000, 0.5000]])
    """

    def __init__(self, potential: nn.Module):
        super().__init__()
        self.potential = require_called_as_field(potential)
        self.names = [name for name, _ in potential.named_parameters()]

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give the times, and views of the parameters that copy nothing."""
        own = dict(self.potential.named_parameters())
        return times, *(own[name].expand(len(times), *own[name].shape) for name in self.names)

    def value(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give Phi: (n,)."""
        t, *parameters = weights
        return functional_call(self.potential, dict(zip(self.names, parameters, strict=True)), (t.to(y.dtype), y))

    def velocity(self, y: State, *weights: Tensor) -> State:
        """Give -grad_y Phi."""

        def one(row: Tensor) -> Tensor:
            found = self.value(row[None], *weights)
            if not isinstance(found, Tensor) or found.shape != (1,):
                given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise InvalidInput(f"the potential gave {given} for one sample; it must give one number a sample, (n,)")
            return found[0]

        return -vmap(grad(one))(require_rows(y, "y"))

    def slopes(self, y: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        """Give d Phi/dt (n,) and grad_y Phi (n, width)."""
        t, *parameters = weights

        def one(t: Tensor, row: Tensor) -> Tensor:
            return self.value(row[None], t, *parameters)[0]

        return vmap(grad(one, argnums=(0, 1)), in_dims=(None, 0))(t.to(y.dtype), y)


class _HamiltonJacobi:
    """The residual |d Phi/dt - |grad Phi|^2 / 2| of each sample, of fields that are `Descent`s."""

    def __call__(self, velocity: Rule, rows: Tensor) -> Tensor:
        """Refuse a rule without its potential."""
        raise InvalidInput("the Hamilton-Jacobi residual wants the potential; integrate a flow of a Descent field")

    def of_field(self, field: VectorField, rows: Tensor, weights: Any) -> Tensor:
        """Give the residual: (n,)."""
        if not isinstance(field, Descent):
            return self(field, rows)
        in_time, in_space = field.slopes(rows, *weights)
        return (in_time - in_space.square().sum(1) / 2).abs()


hamilton_jacobi = _HamiltonJacobi()


class SmoothPotential(nn.Module):
    """Phi(y, t) = w . N(y, t) + |A (y, t)|^2 / 2 + b . (y, t): a potential to train, N of one residual layer.

    N(s) = u + sigma(K u + c), u = sigma(L s + d), sigma(z) = log(e^z + e^-z), whose derivative is tanh; A has `rank`
    rows. The form is that of Onken et al. (2021).
    """

    def __init__(
        self, width: int, *, hidden: int = 16, rank: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32
    ):
        super().__init__()
        for name, value in (("width", width), ("hidden", hidden), ("rank", rank)):
            require_whole(value, name)
        draw, dtype = generator_of(seed), require_dtype(dtype)

        def drawn(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter((scale * torch.randn(*shape, generator=draw, dtype=torch.float64)).to(dtype))

        n = width + 1
        self.L, self.d = drawn(hidden, n, scale=n**-0.5), drawn(hidden, scale=0.1)
        self.K, self.c = drawn(hidden, hidden, scale=hidden**-0.5), drawn(hidden, scale=0.1)
        self.w, self.A, self.b = drawn(hidden, scale=0.1), drawn(rank, n, scale=0.1), drawn(n, scale=0.1)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Give Phi: (n,)."""
        s = torch.cat([y, t.expand(len(y), 1)], 1)
        u = _log_two_cosh(s @ self.L.mT + self.d)
        u = u + _log_two_cosh(u @ self.K.mT + self.c)
        return u @ self.w + (s @ self.A.mT).square().sum(1) / 2 + s @ self.b


def _log_two_cosh(z: Tensor) -> Tensor:
    return z.abs() + torch.log1p(torch.exp(-2 * z.abs()))
