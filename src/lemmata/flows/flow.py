"""A residual network as a module: a field, a method and a number of steps."""

from __future__ import annotations

import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.flows.adjoint import Way, way_of
from lemmata.flows.field import Partitioned, State, as_field
from lemmata.flows.integrate import grid_of, require_finite_way
from lemmata.flows.methods import Method, method_of
from lemmata.flows.state import require_state
from lemmata.given import require_flag


class Flow(nn.Module):
    """y(0) -> y(T) in `steps` steps of `method`: a residual network whose depth is a discretisation.

    `field` is a `VectorField` or a module f(t, y), `T` by default the field's own. A tensor given to a partitioned
    field starts as q with p = 0, and q(T) comes back.

    `backward` says how the gradient is taken, which decides the memory between forward and backward:

    ================  ===========================================================================================
    ``"store"``       autograd keeps what every step computed
    ``"reversible"``  nothing is kept; a reversible method runs backwards beside the gradient (exact, and checked)
    ``"checkpoint"``  about sqrt(2 N) of the N states are kept, and the steps between them taken again (exact)
    ``"continuous"``  nothing is kept; the continuous adjoint equation is integrated backwards (not exact)
    ================  ===========================================================================================

    or an object with options: `flows.Checkpoint(states=8)`, `flows.Reversible(tolerance=1e-6)`. Raises `InvalidInput`
    for a method that does not suit the field or the way back; the backward pass raises `NotReversible` where rounding
    errors grew too much on the way.

    States that are not finite are refused, with the number of the layer after which the first was. That is one look at
    y(T) a pass, for which a GPU is waited for; ``check=False`` leaves it out. Under `torch.vmap`, where members may
    fail one by one, nobody looks.

    >>> import torch
    >>> from lemmata import flows
    >>> layers = flows.Hamiltonian(4, flows.PiecewiseConstant(100, T=5.0), dtype=torch.float64)
    >>> y, found = torch.randn(8, 4, dtype=torch.float64), []
    >>> for backward in ("store", "reversible", "checkpoint"):
    ...     net = flows.Flow(layers, steps=100, method="verlet", backward=backward)
    ...     found.append(torch.autograd.grad(net(y).square().sum(), layers.coefficients["K"])[0])
    >>> all(bool((g - found[0]).norm() < 1e-13 * found[0].norm()) for g in found)
    True
    """

    def __init__(
        self,
        field: object,
        *,
        steps: int,
        T: float | None = None,
        method: str | Method = "rk4",
        backward: str | Way = "store",
        check: bool = True,
    ):
        super().__init__()
        self.field = as_field(field)
        self.method = method_of(method)
        self.grid = grid_of(self.field, T, steps)
        self.way = way_of(backward)
        self.check = require_flag(check, "check")
        self.method.suit(self.field)
        self.way.suit(self.field, self.method)

    def start(self, y: State) -> State:
        """Give the state in which it starts from y: a partitioned field moves a tensor q as (q, 0)."""
        if isinstance(self.field, Partitioned) and isinstance(y, torch.Tensor):
            return y, torch.zeros_like(y)
        return y

    def forward(self, y: State) -> State:
        """Give y(T)."""
        start = self.start(y)
        require_state(start, self.field, "y")
        state = self.way.flow(self.field, start, self.grid, self.method)
        if self.check:
            require_finite_way(self.field, start, state, self.grid, self.method)
        return state[0] if isinstance(state, tuple) and not isinstance(y, tuple) else state


def require_flow(value: object, name: str = "flow") -> Flow:
    """Give a flow back.

    >>> require_flow(nn.Linear(2, 2))
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: flow: a Linear; give a flows.Flow(field, steps=...), such as the layer of a network
    """
    if not isinstance(value, Flow):
        raise InvalidInput(
            f"{name}: a {type(value).__name__}; give a flows.Flow(field, steps=...), such as the layer of a network"
        )
    return value
