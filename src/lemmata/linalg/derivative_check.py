"""Checks of derivatives written by hand: are the Taylor remainders of the right order?

Along a direction v, with derivatives J and H that are right, the remainders

    E_0(h) = |f(x + h v) - f(x)|                                  = O(h)
    E_1(h) = |f(x + h v) - f(x) - h J v|                          = O(h^2)
    E_2(h) = |f(x + h v) - f(x) - h J v - h^2/2 v^T H v|          = O(h^3)

fall at these rates until the rounding of f hides them; with a wrong J, E_1 tends to h |(J - J_true) v| and falls like
h. So the rate is read at the smallest steps whose remainder stands clear of the rounding, which is measured: f is
evaluated at nine close points of the line, where fourth differences of a smooth function vanish and those of its
noise do not (More and Wild, 2011, Estimating computational noise).

Cost: `directions` (steps + 9) values of f and one derivative a direction.
Fails where f changes along v by no more than its rounding (which is said), and can not see errors below some 1e-7 of
the derivative: see `DerivativeCheck.error`. Where f has a kink between x and x + h v, rates are those of a kink.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series

Array = Any  # a torch tensor or a numpy array: the check adds, scales and takes inner products only
STEPS = tuple(10.0 ** (-k / 2) for k in range(21))
SHORT = 0.3  # an observed order may fall this much short of the one expected
CLEAR = 30.0  # a remainder counts where it is this many times the rounding


@dataclass(frozen=True)
class DerivativeCheck:
    """The remainders of a derivative check, the orders read off them, and the verdict.

    `steps` (S,) are h, `remainders` (orders, directions, S) are E_0, E_1 and with a Hessian E_2, `rounding`
    (directions,) is the noise of f. `orders` are the observed ones, the median over directions: inf for a remainder
    that is rounding at every step. `error` is the smallest E_1(h) / (h |J v|) met, the largest over directions: the
    relative error of the derivative, as far as it can be seen. `cost` counts evaluations of f.
    """

    steps: np.ndarray
    remainders: np.ndarray
    rounding: np.ndarray
    orders: tuple[float, ...]
    error: float
    holds: bool
    cost: int

    def __bool__(self) -> bool:
        return self.holds

    def plot(self) -> Figure:
        """Draw each remainder against h, with the rates expected and the rounding of f."""
        series = []
        for p, errors in enumerate(self.remainders):
            middle = np.median(errors, axis=0)
            seen = middle > 0
            name = ("without derivative", "with the first", "with the first and second")[p]
            order = "rounding only" if math.isinf(self.orders[p]) else f"order {self.orders[p]:.2f}"
            series.append(Series(label=f"{name}: {order}", x=self.steps[seen], y=middle[seen]))
            clear = middle > CLEAR * np.median(self.rounding)
            if clear.any():
                last = np.flatnonzero(clear)[-1]
                rate = middle[last] * (self.steps / self.steps[last]) ** (p + 1)
                drawn = rate > 0.1 * max(np.median(self.rounding), 1e-300)
                series.append(Series(label=f"h^{p + 1}", x=self.steps[drawn], y=rate[drawn], role="theory"))
        floor = np.full(len(self.steps), max(float(np.median(self.rounding)), 1e-300))
        series.append(Series(label="rounding of f", x=self.steps, y=floor, role="control"))
        verdict = "right" if self.holds else "WRONG"
        panel = Panel(x=Axis(label="step h", log=True), y=Axis(label="Taylor remainder", log=True), series=series)
        seen, due = ", ".join(f"{o:.2f}" for o in self.orders), ", ".join(str(p + 1) for p in range(len(self.orders)))
        caption = f"The derivative is {verdict}: orders {seen}, due {due}; medians of {len(self.rounding)} directions."
        return Figure(name="derivative-check", title="Derivative check", caption=caption, panels=[panel])


def check_gradient(
    f: Callable[[Array], Any],
    gradient: Callable[[Array], Array],
    x: Array,
    *,
    hvp: Callable[[Array, Array], Array] | None = None,
    direction: Array | None = None,
    directions: int = 3,
    steps: Sequence[float] = STEPS,
    seed: int | torch.Generator = 0,
) -> DerivativeCheck:
    """Check the gradient of a scalar f at x, and with `hvp`(x, v) = H v its Hessian, by Taylor remainders.

    x is a tensor or numpy array of any shape, `gradient`(x) of the same. The directions are Gaussian, of length
    max(1, |x|), drawn from `seed`, or the one given. `steps` are the h, falling. float64 is advised: in float32 the
    remainders stand clear of the rounding over two decades of h only.

    Raises `InvalidInput` for shapes that do not fit, values that are not finite, and an f that does not change.

    >>> x = torch.tensor([1.0, -2.0], dtype=torch.float64)
    >>> bool(check_gradient(lambda x: (x**4).sum(), lambda x: 4 * x**3, x))
    True
    >>> check_gradient(lambda x: (x**4).sum(), lambda x: 3 * x**3, x).holds
    False
    """
    g = gradient(x)
    if tuple(g.shape) != tuple(x.shape):
        raise InvalidInput(f"the gradient has shape {tuple(g.shape)} and x {tuple(x.shape)}; they must agree")

    def first(v: Array) -> float:
        return inner(g, v)

    second = None if hvp is None else lambda v: inner(v, hvp(x, v))
    return _check(f, (first, second), x, random_directions(x, direction, directions, seed), steps)


def check_jacobian(
    f: Callable[[Array], Array],
    jvp: Callable[[Array, Array], Array],
    x: Array,
    *,
    direction: Array | None = None,
    directions: int = 3,
    steps: Sequence[float] = STEPS,
    seed: int | torch.Generator = 0,
) -> DerivativeCheck:
    """Check the products `jvp`(x, v) = J v of an f with values of any shape, as `check_gradient`.

    With the gradient of a function as f and its Hessian product as jvp, this checks the Hessian.

    >>> x = torch.tensor([0.5, 1.0], dtype=torch.float64)
    >>> bool(check_jacobian(torch.tanh, lambda x, v: (1 - x.tanh() ** 2) * v, x))
    True
    """
    return _check(f, (lambda v: jvp(x, v), None), x, random_directions(x, direction, directions, seed), steps)


def random_directions(x: Array, direction: Array | None, count: int, seed: int | torch.Generator) -> list[Array]:
    """Give the direction given, or `count` Gaussian ones of length max(1, |x|): like x in shape, type and device."""
    if direction is not None:
        if tuple(direction.shape) != tuple(x.shape):
            raise InvalidInput(f"the direction has shape {tuple(direction.shape)} and x {tuple(x.shape)}")
        return [direction]
    if count < 1:
        raise InvalidInput(f"directions = {count}; take at least one")
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    length = max(1.0, norm(x))
    drawn = torch.randn(count, *x.shape, generator=draw, dtype=torch.float64, device=draw.device)
    drawn *= length / drawn.flatten(1).norm(dim=1).reshape(-1, *[1] * len(x.shape))
    if isinstance(x, Tensor):
        return list(drawn.to(x))
    return list(drawn.numpy().astype(x.dtype))


def _check(
    f: Callable[[Array], Any],
    products: tuple[Callable[[Array], Any], Callable[[Array], Any] | None],
    x: Array,
    directions: list[Array],
    steps: Sequence[float],
) -> DerivativeCheck:
    """Take the remainders along each direction, given v -> J v and v -> v^T H v, and judge them."""
    h = np.asarray(steps, dtype=float)
    if len(h) < 3 or not (h > 0).all() or not (np.diff(h) < 0).all():
        raise InvalidInput(f"steps {steps} must be at least three positive numbers that fall, as 1e-1, 1e-2, 1e-3")
    (first, second), start = products, f(x)
    if not math.isfinite(norm(start)) or not math.isfinite(norm(x)):
        raise InvalidInput(f"f(x) has norm {norm(start)} at an x of norm {norm(x)}; both must be finite")
    remainders, rounding = np.zeros((2 + (second is not None), len(directions), len(h))), np.zeros(len(directions))
    for d, v in enumerate(directions):
        rounding[d] = _noise(f, x, v, start)
        Jv, vHv = first(v), None if second is None else second(v)
        if not math.isfinite(norm(Jv)) or not (vHv is None or math.isfinite(norm(vHv))):
            what = "first" if not math.isfinite(norm(Jv)) else "second"
            raise InvalidInput(f"the {what} derivative along a direction is not finite at x; it cannot be right")
        changes = ((t, f(x + t * v) - start) for t in h.tolist())
        remainders[:, d] = np.stack([_remainders(change, t, Jv, vHv) for t, change in changes], -1)
    if not (remainders[0] > CLEAR * rounding[:, None]).any(1).all():
        raise InvalidInput(
            "f does not change along the direction beyond its own rounding, so that nothing is tested; "
            "take longer steps or directions, or float64"
        )
    observed = np.array([[_order(h, e, noise) for e, noise in zip(r, rounding, strict=True)] for r in remainders])
    orders = tuple(float(order) for order in np.median(observed, axis=1))
    holds = all(order > p + 1 - SHORT for p, order in enumerate(orders))
    sizes = np.array([norm(first(v)) for v in directions])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        error = float(np.nan_to_num((remainders[1] / (h * sizes)).min(1)).max())
    return DerivativeCheck(h, remainders, rounding, orders, error, holds, 1 + len(directions) * (len(h) + 9))


def _remainders(change: Any, h: float, Jv: Any, vHv: Any) -> list[float]:
    found = [norm(change), norm(change - h * Jv)]
    return found if vHv is None else [*found, norm(change - h * Jv - h**2 / 2 * vHv)]


def _noise(f: Callable[[Array], Any], x: Array, v: Array, start: Any) -> float:
    """The rounding of f near x: from fourth differences over nine points, at least one unit in the last place."""
    eps = float(torch.finfo(x.dtype).eps if isinstance(x, Tensor) else np.finfo(x.dtype).eps)
    spacing = math.sqrt(eps)
    table = [_float64(f(x + (k - 4) * spacing * v)) for k in range(9)]
    for _ in range(4):
        table = [b - a for a, b in pairwise(table)]
    variance = np.mean([norm(entry) ** 2 for entry in table]) * (math.factorial(4) ** 2 / math.factorial(8))
    return max(math.sqrt(variance), eps * norm(start))


def _order(h: np.ndarray, remainder: np.ndarray, noise: float) -> float:
    """The rate at the three smallest steps before the first whose remainder is not clear of the rounding."""
    clear = remainder > CLEAR * noise
    if not clear.any():
        return math.inf
    first = int(clear.argmax())
    drowned = np.flatnonzero(~clear[first:])
    last = first + int(drowned[0]) if len(drowned) else len(h)
    window = slice(max(first, last - 3), last)
    if last - first < 2:
        return math.inf  # clear at one step and gone at the next: it fell faster than can be seen
    return float(np.polyfit(np.log(h[window]), np.log(remainder[window]), 1)[0])


def _float64(value: Any) -> Any:
    return value.detach().double() if isinstance(value, Tensor) else np.asarray(value, dtype=float)


def inner(a: Array, b: Array) -> float:
    """The inner product of two arrays of one shape, in float64."""
    return float((_float64(a) * _float64(b)).sum())


def norm(value: Any) -> float:
    """The Euclidean norm of a number or of all entries of an array, in float64."""
    return float(_float64(value).reshape(-1).norm() if isinstance(value, Tensor) else np.linalg.norm(_float64(value)))
