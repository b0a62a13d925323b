"""Checks that anyone can run on a layer: is its derivative right, is its backward the adjoint of its forward?

`check_derivative` asks whether what comes back from `backward` is the gradient, by Taylor remainders, which need no
second way of computing it. `check_adjoint` asks whether u . (J v) = (J^T u) . v for the Jacobian J of the layer,
where J^T u is `backward` and J v the forward derivative, torch's own or by differences. Both look at the derivative by
the state and by each weight. A layer built of torch's operations passes both; one with a backward written by hand had
better.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from lemmata import linalg
from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.flows.field import State, VectorField, require_open, shape_of
from lemmata.flows.required import generator_of, require_dtype
from lemmata.given import require_number, require_tensor, require_whole

STATE = "y"
SPACINGS = tuple(2.0 ** -(4 + k) for k in range(4))
DIFFERENCES = 1e-7  # what a product by differences may be off, relatively, for a smooth layer in float64

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class LayerCheck:
    """One check for the state, ``"y"``, and one for each weight by its name; true where every check holds.

    `unused` are weights that the layer's values do not depend on; `forward` says how products with J were taken.
    """

    checks: dict[str, Any]
    unused: tuple[str, ...] = ()
    forward: str = ""

    @property
    def wrong(self) -> tuple[str, ...]:
        """The names by which the derivative is wrong."""
        return tuple(name for name, check in self.checks.items() if not check.holds)

    @property
    def holds(self) -> bool:
        """Whether all hold."""
        return not self.wrong

    def __bool__(self) -> bool:
        return self.holds

    def __getitem__(self, name: str) -> Any:
        return self.checks[name]

    def plot(self) -> Figure:
        """Draw each check in a panel of its own."""
        drawn = {name: check.plot() for name, check in self.checks.items()}
        panels = [
            replace(panel, title=f"by {name}: {'right' if self.checks[name].holds else 'WRONG'}")
            for name, figure in drawn.items()
            for panel in figure.panels
        ]
        first = next(iter(drawn.values()))
        wrong = f"wrong by {', '.join(self.wrong)}" if self.wrong else "right by all of them"
        caption = f"A layer's backward, by its state and by each of its weights: {wrong}."
        return Figure(name=first.name, title=first.title, caption=caption, panels=panels)


def check_derivative(
    layer: nn.Module, y: State, *, t: float | None = None, directions: int = 3,
    dtype: torch.dtype | None = torch.float64, seed: int | torch.Generator = 0,
) -> LayerCheck:  # fmt: skip
    """Check a layer's `backward` by Taylor remainders: by its state y and by each weight that requires a gradient.

    `layer` is any module; it is called as layer(y), or layer(t, y) if `t` is given. A `VectorField` is called at `t`,
    by default the middle of its time. y is a tensor or a tuple of tensors. The check runs on a copy in `dtype`; None
    leaves layer and state as they are, where float32 sees errors above some 1e-3 only. The derivative is that of
    <u, layer(y)> for one Gaussian u, along `directions` Gaussian directions, all drawn from `seed`. Cost: `directions`
    * 30 values for the state and for each weight.

    Raises `InvalidInput` where the layer gives no tensors, or does not change with y.

    >>> class Wrong(torch.autograd.Function):                  # the derivative of tanh is 1 - tanh^2
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return torch.tanh(x)
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g * (1 - torch.tanh(ctx.saved_tensors[0]))
    >>> class Layer(nn.Linear):
    ...     def forward(self, y):
    ...         return self.activation(super().forward(y))
    >>> layer, y = Layer(3, 3), torch.randn(5, 3)
    >>> layer.activation = torch.tanh
    >>> check_derivative(layer, y).holds
    True
    >>> layer.activation = Wrong.apply
    >>> check_derivative(layer, y).wrong
    ('y', 'weight', 'bias')
    """
    require_whole(directions, "directions")
    draw = generator_of(seed)
    checks, unused = {}, []
    for name, (f, x) in _functions(layer, y, t, dtype).items():
        u = _like(f(x), draw)

        def value(x: Tensor, f: Function = f, u: Tensor = u) -> float:
            with torch.no_grad():
                return float(u.double() @ f(x).double())

        def gradient(x: Tensor, f: Function = f, u: Tensor = u) -> Tensor:
            return _backward(f, x, u)

        if name != STATE and _idle(f, x, gradient(x), draw):
            unused.append(name)
            continue
        checks[name] = linalg.check_gradient(value, gradient, x, directions=directions, seed=draw)
    return LayerCheck(checks, tuple(unused))


def check_adjoint(
    layer: nn.Module, y: State, *, t: float | None = None, trials: int = 5,
    forward: Literal["torch", "differences"] | None = None, dtype: torch.dtype | None = torch.float64,
    seed: int | torch.Generator = 0,
) -> LayerCheck:  # fmt: skip
    """Check that a layer's `backward` is the adjoint of its Jacobian J: u . (J v) = (J^T u) . v, to rounding.

    By the state y and by each weight that requires a gradient; `layer`, `y`, `t`, `dtype`, `seed` are those of
    `check_derivative`. J^T u is what `backward` gives, J v is torch's derivative forwards, or where a layer has none (a
    `torch.autograd.Function` without jvp), or with ``forward="differences"``, an extrapolated central difference: right
    to 1e-7 where the layer is smooth, which is then the tolerance. Cost: `trials` products each way for the state and
    for each weight.

    >>> from lemmata import flows
    >>> layers = flows.Hamiltonian(3, flows.PiecewiseConstant(4))
    >>> y = torch.randn(5, 3), torch.randn(5, 3)
    >>> check_adjoint(layers, y).holds
    True
    >>> class Wrong(torch.autograd.Function):                  # the adjoint of y -> y K^T is g -> g K
    ...     @staticmethod
    ...     def forward(ctx, y, K):
    ...         ctx.save_for_backward(y, K)
    ...         return y @ K.T
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         y, K = ctx.saved_tensors
    ...         return g @ K.T, g.T @ y
    >>> class Layer(nn.Linear):
    ...     def forward(self, y):
    ...         return Wrong.apply(y, self.weight)
    >>> found = check_adjoint(Layer(3, 3, bias=False), torch.randn(5, 3))
    >>> found.wrong, found.forward
    (('y',), 'differences')
    """
    if forward not in (None, "torch", "differences"):
        raise InvalidInput(f"forward = {forward!r}; give 'torch', 'differences' or None")
    require_whole(trials, "trials")
    draw = generator_of(seed)
    functions = _functions(layer, y, t, dtype)
    how = forward or ("torch" if all(map(_forward_mode, functions.values())) else "differences")
    product = _by_torch if how == "torch" else _by_differences
    checks, unused = {}, []
    for name, (f, x) in functions.items():
        like = (x, f(x).detach())
        if name != STATE and _idle(f, x, _backward(f, x, _like(like[1], draw)), draw):
            unused.append(name)
            continue
        ways = (lambda v, f=f, x=x: product(f, x, v)), (lambda u, f=f, x=x: _backward(f, x, u))
        tolerance = DIFFERENCES if how == "differences" else None
        checks[name] = linalg.check_adjoint(ways, like=like, trials=trials, tolerance=tolerance, seed=draw)
    return LayerCheck(checks, tuple(unused), how)


def _functions(
    layer: nn.Module, y: State, t: float | None, dtype: torch.dtype | None
) -> dict[str, tuple[Function, Tensor]]:
    """The layer's values as functions of the state, and of each weight, with the points at which they are taken."""
    own = copy.deepcopy(require_open(layer)).to(None if dtype is None else require_dtype(dtype))
    parts = [require_tensor(part, "y").detach().clone() for part in (y if isinstance(y, tuple) else (y,))]
    if not parts or any(part.is_quantized for part in parts):
        raise InvalidInput(f"y is {shape_of(y)}; give a floating-point tensor, or a tuple of at least one")
    if dtype is not None:
        parts = [part.to(dtype) for part in parts]
    if isinstance(own, VectorField) and t is None:
        t = 0.5 * (own.T or 0.0)
    before = () if t is None else (require_number(t, "t"),)
    state = tuple(parts) if isinstance(y, tuple) else parts[0]

    def by_state(x: Tensor) -> Tensor:
        pieces = [
            piece.reshape(part.shape).clone()
            for piece, part in zip(x.split([p.numel() for p in parts]), parts, strict=True)
        ]
        return _flat(own(*before, tuple(pieces) if isinstance(y, tuple) else pieces[0]))

    def by_weight(name: str) -> Function:
        shape = own.get_parameter(name).shape
        return lambda x: _flat(functional_call(own, {name: x.reshape(shape)}, (*before, state)))

    try:
        value, again = by_state(_flat(state)), by_state(_flat(state))
    except (TypeError, RuntimeError, IndexError) as failed:
        took = "y" if t is None else "t, y"
        raise InvalidInput(
            f"{type(own).__name__} cannot be called as layer({took}) on this y, {tuple(parts[0].shape)}: {failed}; "
            f"give a y that it takes, and t for a module f(t, y) and no other"
        ) from failed
    if not value.is_floating_point():
        raise InvalidInput(f"{type(own).__name__} gave {value.dtype}; a layer with a derivative gives floating point")
    if value.shape != again.shape or not torch.equal(value.nan_to_num(), again.nan_to_num()):
        raise InvalidInput(
            f"{type(own).__name__} gives another value of the same y when it is called again, as dropout does in "
            f"training; call its eval() before"
        )
    found: dict[str, tuple[Function, Tensor]] = {STATE: (by_state, _flat(state))}
    for name, weight in own.named_parameters():
        if weight.requires_grad:
            found[name] = by_weight(name), weight.detach().reshape(-1)
    return found


def _flat(y: State) -> Tensor:
    """All numbers of a state in one row."""
    parts = y if isinstance(y, tuple) else (y,)
    return torch.cat([require_tensor(part, "what the layer gave").reshape(-1) for part in parts])


def _backward(f: Function, x: Tensor, u: Tensor) -> Tensor:
    """J^T u, as `backward` has it."""
    x = x.detach().requires_grad_()
    value = f(x)
    if not value.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(value, x, u, materialize_grads=True)[0]


def _by_torch(f: Function, x: Tensor, v: Tensor) -> Tensor:
    return jvp(f, (x,), (v,))[1].detach()


def _by_differences(f: Function, x: Tensor, v: Tensor) -> Tensor:
    """J v by central differences, extrapolated to step 0 (Richardson): the error is O(h^8)."""
    with torch.no_grad():
        table = [(f(x + h * v) - f(x - h * v)) / (2 * h) for h in SPACINGS]
    for k in range(1, len(table)):
        table = [(4**k * b - a) / (4**k - 1) for a, b in pairwise(table)]
    return table[0]


def _forward_mode(function: tuple[Function, Tensor]) -> bool:
    """Whether torch can take the derivative forwards."""
    f, x = function
    try:
        _by_torch(f, x, torch.ones_like(x))
    except (RuntimeError, InvalidInput):
        return False
    return True


def _idle(f: Function, x: Tensor, gradient: Tensor, draw: torch.Generator) -> bool:
    """Whether neither the gradient nor the values know of x."""
    with torch.no_grad():
        return not gradient.any() and torch.equal(f(x), f(x + _like(x, draw)))


def _like(x: Tensor, draw: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=draw, dtype=torch.float64, device=draw.device).to(x)
