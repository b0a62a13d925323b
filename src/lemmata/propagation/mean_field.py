"""Mean-field theory of wide random networks: fixed points, phases, depth scales.

    q_(l+1) = sigma_w^2 E phi(sqrt(q_l) z)^2 + sigma_b^2                  variance map
    c_(l+1) = (sigma_w^2 E phi(u) phi(v) + sigma_b^2) / q*                correlation map; u, v ~ N(0, q*) of corr. c_l
    chi_1   = sigma_w^2 E phi'(sqrt(q*) z)^2                              growth of squared gradients a layer; C'(1)
    xi_q    = -1 / log |V'(q*)|,   xi_c = -1 / log chi_c,   chi_c = sigma_w^2 E phi'(u) phi'(v) at c*

Weights are independent with variance sigma_w^2 / n_in, biases with variance sigma_b^2. chi_1 < 1 is the ordered phase
(two inputs become alike, gradients vanish), chi_1 > 1 the chaotic one (they part, gradients explode). Sources: Poole,
Lahiri, Raghu, Sohl-Dickstein, Ganguli (2016); Schoenholz, Gilmer, Ganguli, Sohl-Dickstein (2017).

Cost: a variance takes 10^3 evaluations of phi, a correlation 10^5 to 10^6 (20 ms) or a closed form. Fixed points are
found by bracketing, not by iteration, which crawls at the edge. Where it fails: q* is the limit from `start`, by a
scan in steps of a factor 1.2, so that two fixed points closer than this may be missed; what finite width changes is
not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.given import require_number, require_whole
from lemmata.propagation.activations import Elementwise, Nonlinearity, nonlinearity
from lemmata.propagation.duals import covariance, diagonal, slope_covariance, square
from lemmata.short_repr import short_repr

Phase = Literal["ordered", "critical", "chaotic"]
LARGEST, SMALLEST, STEP = 1e15, 1e-13, 1.2  # of variances that are looked through
ROUNDING = 1e-13  # relative, of the integrals: what differs by less is equal
EVEN = 1e-10  # of correlations and chi_1, likewise


@dataclass(frozen=True)
class MeanField:
    """Fixed points of a wide network of one activation, and what a small departure from them does.

    `q` is the limit of the variance map from `start`: 0 where signals die out, infinite where they grow without bound.
    `chi_1` and `chi_q` = V'(q) are taken there, in the limit where q is infinite. `c` is the stable correlation of two
    inputs, `chi_c` = C'(c); c is NaN where there is none, at q = 0 and q infinite, for variance or sign alone then
    survive. There `chi_c`, and with it `xi_c`, is NaN at q infinite, and at q = 0 that of the limit sigma_b^2 -> 0,
    where c = 1. `error` is that of the integrals, relative. Nothing is random.
    """

    activation: Nonlinearity = field(repr=False)
    weight_variance: float
    bias_variance: float
    start: float
    q: float
    chi_q: float
    chi_1: float
    c: float
    chi_c: float
    error: float

    __repr__ = short_repr

    @property
    def phase(self) -> Phase:
        """By chi_1: "critical" where it is 1 to 1e-7."""
        if abs(self.chi_1 - 1) < 1e-7:
            return "critical"
        return "ordered" if self.chi_1 < 1 else "chaotic"

    @property
    def xi_q(self) -> float:
        """Layers in which a departure of the variance from q falls by e."""
        return _depth_scale(self.chi_q)

    @property
    def xi_c(self) -> float:
        """Layers in which a departure of the correlation from c falls by e; infinite at the edge.

        At q = 0, where there is no c, the limit of a vanishing bias variance, -1 / log chi_1.
        """
        return _depth_scale(self.chi_c)

    @property
    def xi_gradient(self) -> float:
        """-1 / log chi_1: layers in which squared gradients fall by e; negative where they grow."""
        return math.inf if self.phase == "critical" else -1 / math.log(self.chi_1) if self.chi_1 > 0 else 0.0

    def variance_map(self, q: float | Tensor) -> Tensor:
        """V(q) = sigma_w^2 E phi(sqrt(q) z)^2 + sigma_b^2, of the shape of q, in float64.

        >>> mean_field("relu", 2.0).variance_map(3.0)
        tensor(3., dtype=torch.float64)
        """
        q = _numbers(q, "q")
        if not bool(((q >= 0) & q.isfinite()).all()):
            raise InvalidInput("variances are finite and at least 0")
        return self.weight_variance * square(self.activation, q.reshape(-1)).reshape(q.shape) + self.bias_variance

    def correlation_map(self, c: float | Tensor) -> Tensor:
        """C(c) between layers of variance q, of the shape of c in [-1, 1], in float64; 1 to 20 ms an entry.

        Raises `InvalidInput` where q is 0 or infinite.

        >>> round(mean_field("erf", 4.0, 0.1).correlation_map(1.0).item(), 9)
        1.0
        """
        c = _numbers(c, "c")
        if not bool((c.abs() <= 1).all()):
            raise InvalidInput("correlations lie between -1 and 1")
        if not 0 < self.q < math.inf:
            raise InvalidInput(f"there is no correlation map at q = {self.q}; it divides by the variance")
        values = [self._correlated(float(each)) for each in c.reshape(-1)]
        return torch.tensor(values, dtype=torch.float64).reshape(c.shape)

    def variances(self, q: float, depth: int) -> Tensor:
        """The variances at layers 0 to depth from q at layer 0, (depth + 1,)."""
        found = [torch.tensor(require_number(q, "q"), dtype=torch.float64)]
        for _ in range(require_whole(depth, "depth")):
            found.append(self.variance_map(found[-1]))
        return torch.stack(found)

    def correlations(self, c: float, depth: int) -> Tensor:
        """The correlations at layers 0 to depth from c at layer 0, the variance being q throughout, (depth + 1,)."""
        found = [torch.tensor(require_number(c, "c"), dtype=torch.float64)]
        for _ in range(require_whole(depth, "depth")):
            found.append(self.correlation_map(found[-1]).clamp(-1, 1))
        return torch.stack(found)

    def plot(self) -> Figure:
        """Draw the two maps with their fixed points."""
        from lemmata.propagation.mean_field_figure import mean_field_figure

        return mean_field_figure(self)

    def _correlated(self, c: float) -> float:
        return (self.weight_variance * covariance(self.activation, self.q, c) + self.bias_variance) / self.q


def mean_field(
    activation: str | Elementwise | Nonlinearity,
    weight_variance: float,
    bias_variance: float = 0.0,
    *,
    start: float = 1.0,
) -> MeanField:
    """Fixed points, phase and depth scales of wide networks with sigma_w^2 = `weight_variance` (n_in times Var W).

    `activation` is a name ("tanh", "relu", "erf", "softsign", "sigmoid", "hard-tanh", "gelu", "linear", ...), a
    callable of torch, or a `Nonlinearity`. `start` is the variance from which the limit is taken, of pre-activations.
    Raises `UnknownName`, `InvalidInput` for variances that are negative or not finite, and `NotConverged` for an
    activation whose integrals do not converge. Cost: a fraction of a second.

    >>> found = mean_field("tanh", 1.3, 0.05)
    >>> found.phase, round(found.xi_c, 2)
    ('ordered', 7.83)
    """
    phi = nonlinearity(activation)
    sw, sb = _variance(weight_variance, "weight_variance"), _variance(bias_variance, "bias_variance")
    begun = _variance(start, "start")
    if not SMALLEST < begun < LARGEST:
        raise InvalidInput(f"start = {begun}; the variance starts from a number between {SMALLEST} and {LARGEST}")
    q = _fixed_variance(lambda q: sw * square(phi, q) + sb, begun)
    if math.isinf(q):
        slope = _outer_slope(phi)
        return MeanField(phi, sw, sb, begun, q, sw * slope, sw * slope, math.nan, math.nan, 0.0)
    here = diagonal(phi, torch.tensor([q], dtype=torch.float64))
    chi_1, chi_q = sw * float(here.square_slope), sw * float(here.derivative)
    c, chi_c = (math.nan, chi_1) if q == 0 else _fixed_correlation(phi, sw, sb, q, chi_1)
    return MeanField(phi, sw, sb, begun, q, chi_q, chi_1, c, chi_c, here.error)


def _variance(value: object, name: str) -> float:
    number = require_number(value, name)
    if not (math.isfinite(number) and number >= 0):
        raise InvalidInput(f"{name} = {number}; a variance is finite and at least 0")
    return number


def _numbers(values: object, name: str) -> Tensor:
    try:
        return torch.as_tensor(values, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InvalidInput(f"{name} = {values!r}; give a real number, or a tensor of them") from None


def _depth_scale(factor: float) -> float:
    size = abs(factor)
    if math.isnan(size) or size > 1 + 1e-7:
        return math.nan
    return 0.0 if size == 0 else math.inf if size > 1 - 1e-7 else -1 / math.log(size)


def _fixed_variance(V: Callable[[Tensor], Tensor], start: float) -> float:
    """The limit of q -> V(q), V increasing, from `start`: the first root of V(q) - q on the side that it moves to."""

    def growth(q: Tensor) -> Tensor:
        return V(q) / q - 1

    first = float(growth(torch.tensor([start], dtype=torch.float64)))
    if abs(first) < ROUNDING:
        return start
    end = LARGEST if first > 0 else SMALLEST
    count = math.ceil(abs(math.log(end / start)) / math.log(STEP)) + 1
    grid = torch.logspace(math.log10(start), math.log10(end), count, dtype=torch.float64)
    least = V(torch.zeros(1, dtype=torch.float64))
    if first < 0 and float(least) > 0:  # then V(q) > q up to there, and no root is too small to be found
        grid = torch.cat([grid, least / 2])
    q = first_root(growth, grid)
    return q if q is not None else math.inf if first > 0 else 0.0


def first_root(f: Callable[[Tensor], Tensor], grid: Tensor) -> float | None:
    """The root of f between the first points (N,) of the grid at which it has one sign and the other; None without.

    Only values beyond rounding count: where f falls below it, as V(q) / q - 1 = sigma_b^2 / q of a critical ReLU far
    out, it has either sign. f maps points (m,) to values (m,), of order 1, and is asked for as many as are needed only:
    far out some activations cannot be integrated.

    >>> round(first_root(lambda q: q - 2, torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)), 12)
    2.0
    """
    from scipy.optimize import brentq

    def alone(q: float) -> float:
        return float(f(torch.tensor([q], dtype=torch.float64)))

    before, sign = math.nan, 0.0
    for block in grid.split(8):
        for q, value in zip(block.tolist(), f(block).tolist(), strict=True):
            if abs(value) < ROUNDING:
                continue
            if value * sign < 0:
                return float(brentq(alone, min(before, q), max(before, q), xtol=1e-300, rtol=1e-14))
            before, sign = q, math.copysign(1.0, value)
    return None


def _outer_slope(phi: Nonlinearity) -> float:
    """E phi'^2 where the variance is infinite: the mean of the squared slopes at both far ends."""
    ends = phi.slope(torch.tensor([-1e8, 1e8], dtype=torch.float64)).square()
    return float(ends.mean())


def _fixed_correlation(phi: Nonlinearity, sw: float, sb: float, q: float, chi_1: float) -> tuple[float, float]:
    """The stable fixed point of the correlation map on [0, 1] and its slope there.

    The map has coefficients >= 0 in powers of c, hence is convex: besides 1 there is one fixed point at most, which is
    the stable one where chi_1 > 1.
    """
    from scipy.optimize import brentq

    if chi_1 <= 1 + EVEN:
        return 1.0, chi_1

    @cache
    def moved(c: float) -> float:
        return (sw * covariance(phi, q, c) + sb) / q - c

    away = min(0.5, chi_1 - 1)
    while moved(1 - away) >= 0:
        away /= 4
        if away < 1e-12:
            return 1.0, chi_1
    if moved(0.0) <= EVEN:
        return 0.0, sw * slope_covariance(phi, q, 0.0)
    c = float(brentq(moved, 0.0, 1 - away, xtol=1e-13, rtol=1e-13))
    return c, sw * slope_covariance(phi, q, c)
