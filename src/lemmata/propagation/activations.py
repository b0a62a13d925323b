"""Elementwise activations phi as mean-field theory needs them: the function, its slope, its kinks, its steepest slope.

A name of `NAMED` (hyphens and underscores alike), or any callable of torch that works elementwise, whose slope is then
taken by automatic differentiation, and the steepest from a grid. A kink is a point where a derivative of phi jumps;
integrals are split there. That at 0 is always assumed. A callable with other kinks is given as a `Nonlinearity` that
names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_callable, require_number
from lemmata.kernels.analytic.activations import NAMED as CLOSED

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Nonlinearity:
    """phi and phi' as functions of a tensor; `kinks` besides 0, `steepest` the largest |phi'|, 1 unless it is given.

    >>> abs_less_one = Nonlinearity("|u| - 1 above 0", lambda u: (u.abs() - 1).clamp(min=0), kinks=(-1.0, 1.0))
    >>> abs_less_one.slope(torch.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.,  0.,  1.])
    """

    name: str
    function: Elementwise
    derivative: Elementwise | None = None
    kinks: tuple[float, ...] = ()
    steepest: float = 1.0
    closed_form: str | None = None  # the name of its dual in `lemmata.kernels.analytic`, where that is closed

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidInput(f"name of a Nonlinearity = {self.name!r}; give a word, as 'tanh'")
        require_callable(self.function, "function of a Nonlinearity")
        if self.derivative is not None:
            require_callable(self.derivative, "derivative of a Nonlinearity")
        if not isinstance(self.kinks, tuple) or not all(math.isfinite(require_number(k, "a kink")) for k in self.kinks):
            raise InvalidInput(f"kinks = {self.kinks!r}; give a tuple of finite points, as (-1.0, 1.0)")
        if not 0 < require_number(self.steepest, "steepest") < math.inf:
            raise InvalidInput(f"steepest = {self.steepest}; the largest |phi'| is positive and finite")
        if self.closed_form is not None and self.closed_form not in tuple(CLOSED):
            raise UnknownName("closed form", self.closed_form, CLOSED)

    def __call__(self, u: Tensor) -> Tensor:
        """phi(u)."""
        return self._entries(self.function(u), u, "")

    def slope(self, u: Tensor) -> Tensor:
        """phi'(u), by automatic differentiation where no derivative was given."""
        if self.derivative is not None:
            return self._entries(self.derivative(u), u, "the slope of ")
        with torch.enable_grad():
            at = u.detach().requires_grad_()
            heights = self(at)
            if not heights.requires_grad:
                raise InvalidInput(
                    f"the activation {self.name} is not differentiable by torch: its values do not depend on what it "
                    "got; compute them by torch, without detach, or give its derivative"
                )
            return torch.autograd.grad(heights.sum(), at)[0]

    def _entries(self, values: object, u: Tensor, what: str) -> Tensor:
        """The values, refused where there is not one real number for every entry."""
        if isinstance(values, Tensor) and values.shape == u.shape and not values.is_complex():
            return values
        given = f"{tuple(values.shape)} in {values.dtype}" if isinstance(values, Tensor) else type(values).__name__
        raise InvalidInput(
            f"{what}the activation {self.name} is {given} for entries {tuple(u.shape)}; give a function that maps "
            f"every entry to a real number by itself"
        )


def _normal_density(u: Tensor) -> Tensor:
    return (-u.square() / 2).exp() / math.sqrt(2 * math.pi)


def _normal_mass(u: Tensor) -> Tensor:
    return torch.special.ndtr(u)


def _sigmoid_slope(u: Tensor) -> Tensor:
    return torch.sigmoid(u) * torch.sigmoid(-u)


def _tanh_slope(u: Tensor) -> Tensor:
    shrunk = (-2 * u.abs()).exp()  # 1 - tanh^2 without the difference
    return 4 * shrunk / (1 + shrunk).square()


def _silu_slope(u: Tensor) -> Tensor:
    return torch.sigmoid(u) * (1 + u * torch.sigmoid(-u))


NAMED: dict[str, Nonlinearity] = {
    each.name: each
    for each in (
        Nonlinearity("linear", lambda u: u, torch.ones_like, closed_form="identity"),
        Nonlinearity("relu", torch.relu, lambda u: (u > 0).to(u.dtype), closed_form="relu"),
        Nonlinearity("tanh", torch.tanh, _tanh_slope),
        Nonlinearity(
            "erf", torch.erf, lambda u: (-u.square()).exp() * (2 / math.sqrt(math.pi)),
            steepest=2 / math.sqrt(math.pi), closed_form="erf",
        ),
        Nonlinearity("softsign", functional.softsign, lambda u: (1 + u.abs()).square().reciprocal()),
        Nonlinearity("sigmoid", torch.sigmoid, _sigmoid_slope, steepest=0.25),
        Nonlinearity(
            "hard-tanh", functional.hardtanh, lambda u: (u.abs() < 1).to(u.dtype), kinks=(-1.0, 1.0),
        ),
        Nonlinearity(
            "gelu", lambda u: u * _normal_mass(u), lambda u: _normal_mass(u) + u * _normal_density(u),
            steepest=1.1289042, closed_form="gelu",
        ),
        Nonlinearity("silu", functional.silu, _silu_slope, steepest=1.0998394),
        Nonlinearity("softplus", functional.softplus, torch.sigmoid),
        Nonlinearity("elu", functional.elu, lambda u: torch.where(u > 0, 1.0, u.clamp(max=0).exp())),
        Nonlinearity("leaky-relu", functional.leaky_relu, lambda u: 0.01 + 0.99 * (u > 0).to(u.dtype)),
        Nonlinearity("sin", torch.sin, torch.cos),
    )
}  # fmt: skip
ALIASES = {"identity": "linear", "hardtanh": "hard-tanh", "swish": "silu", "leakyrelu": "leaky-relu"}


def nonlinearity(activation: str | Elementwise | Nonlinearity) -> Nonlinearity:
    """The activation of a name, or of a callable of torch.

    Raises `UnknownName`, and `InvalidInput` for what is no elementwise function in float64.

    >>> nonlinearity("hard_tanh").kinks
    (-1.0, 1.0)
    >>> nonlinearity("thanh")
    Traceback (most recent call last):
    lemmata.errors.UnknownName: unknown activation 'thanh'; did you mean 'tanh'?
    """
    if isinstance(activation, Nonlinearity):
        return activation
    if isinstance(activation, str):
        name = activation.replace("_", "-").lower()
        name = ALIASES.get(name, name)
        if name not in NAMED:
            raise UnknownName("activation", activation, NAMED)
        return NAMED[name]
    if not callable(activation):
        raise InvalidInput(f"activation = {activation!r}; give a name ({', '.join(NAMED)}) or a function of a tensor")
    return _checked(activation)


def _checked(function: Elementwise) -> Nonlinearity:
    name = getattr(function, "__name__", type(function).__name__)
    points = torch.tensor([[-2.0, -0.3, 0.7], [0.1, 1.3, 2.5]], dtype=torch.float64)
    try:
        whole = function(points)
        alone = torch.stack([function(one.reshape(1)) for one in points.flatten()]).reshape(points.shape)
    except Exception as failed:
        raise InvalidInput(
            f"the activation {name} fails on a float64 tensor: {type(failed).__name__}: {failed}"
        ) from failed
    if not isinstance(whole, Tensor) or whole.shape != points.shape or not torch.allclose(whole, alone, equal_nan=True):
        raise InvalidInput(f"the activation {name} is not elementwise; give a function that maps every entry by itself")
    if whole.is_complex() or not bool(whole.isfinite().all()):
        raise InvalidInput(f"the activation {name} is not real and finite between -2 and 2.5")
    phi = Nonlinearity(name, function)
    return replace(phi, steepest=_steepest(phi))


def _steepest(phi: Nonlinearity) -> float:
    """The largest |phi'| on a grid from -10 to 10, where it is finite; 1 if phi is flat there."""
    slopes = phi.slope(torch.linspace(-10, 10, 4001, dtype=torch.float64)).abs()
    return float(slopes[slopes.isfinite()].amax()) or 1.0
