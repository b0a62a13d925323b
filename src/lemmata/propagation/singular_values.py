"""The mean singular value of a wide random layer, W or diag(phi'(u)) W, by random-matrix theory.

For W (n_out, n_in) with independent entries of variance v, the squared singular values follow Marchenko and Pastur:
with y = min / max of the two widths and N the larger one,

    mean singular value = sqrt(N v) (2 / pi) int_0^pi sin^2 t / sqrt(1 + y + 2 sqrt(y) cos t) dt,

which for a square matrix is 8 / (3 pi) sqrt(n v), the mean of the quarter-circle law. With a diagonal D = diag(phi'(u))
of independent entries in front, the Stieltjes transform m(x) = int dF(s) / (s + x) of the squared singular values of
D W, counted over n_in, solves (Silverstein, 1995)

    x = 1 / m - (n_out / n_in) E t / (1 + t m),   t = n_in v phi'(u)^2,

and since sqrt(s) = (1 / pi) int s / (s + x) dx / sqrt(x), the mean singular value is

    (n_in / min) (1 / pi) int (1 - x m(x)) dx / sqrt(x)

without any density. On the scale log x the integrand is analytic in a strip of half-width pi, and the trapezoidal rule
of 260 points is exact to rounding. The dependence of D on W through u = W a is of rank one and drops out as the width
grows. The quarter-circle mean times E phi', which is often written, is exact where phi' is constant and too small
elsewhere: for ReLU by a tenth. Sources: Glorot, Bengio (2010) (the quantity); Marchenko, Pastur (1967). Cost: 0.1 s.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_number, require_whole
from lemmata.propagation.activations import Elementwise, Nonlinearity, nonlinearity
from lemmata.propagation.gaussian import gaussian_rule

REACH, STEP = 32.5, 0.25  # of log sqrt(x): e^-32 of the integral lies beyond
BISECTIONS = 46


def mean_singular_value(
    n_in: int,
    n_out: int,
    weight_variance: float,
    *,
    activation: str | Elementwise | Nonlinearity = "linear",
    q: float = 1.0,
) -> float:
    """The mean of the min(n_in, n_out) singular values of diag(phi'(u)) W, u ~ N(0, q), W (n_out, n_in).

    `weight_variance` is sigma_w^2 = n_in Var W, as everywhere here. The limit of wide layers: one draw of
    W differs from it by order 1 / n relative, one draw of u by order 1 / sqrt(n). Raises `InvalidInput` for widths
    below 1 and variances that are negative or not finite, `UnknownName` for an activation.

    >>> round(mean_singular_value(1000, 1000, 1.0), 4), round(mean_singular_value(1000, 1000, 1 / 3), 4)
    (0.8488, 0.4901)
    >>> exact, product = mean_singular_value(1000, 1000, 1.0, activation="relu"), 0.8488 * 0.5
    >>> round(exact, 4), round(product, 4)
    (0.4664, 0.4244)
    """
    rows, columns = require_whole(n_out, "n_out"), require_whole(n_in, "n_in")
    sw, variance = require_number(weight_variance, "weight_variance"), require_number(q, "q")
    for name, value in (("weight_variance", sw), ("q", variance)):
        if not (math.isfinite(value) and value >= 0):
            raise InvalidInput(f"{name} = {value}; a variance is finite and at least 0")
    phi = nonlinearity(activation)
    if phi.closed_form == "identity":
        return _marchenko_pastur(rows, columns, sw / columns)
    u, weights = gaussian_rule(max(variance, 1e-36), phi.kinks)
    slopes = phi.slope(u)
    if not bool(slopes.isfinite().all()):
        raise InvalidInput(f"the slope of the activation {phi.name} is not finite somewhere below {float(u.max()):.3g}")
    t, place = slopes.square().unique(return_inverse=True)  # of even slopes half as many, of ReLU's two
    weights = torch.zeros_like(t).index_add(0, place, weights)
    return math.sqrt(sw) * max(1.0, columns / rows) * _silverstein(t, weights, rows / columns)


def _silverstein(t: Tensor, weights: Tensor, c: float) -> float:
    """Integrate sqrt(s) dF(s), s the n_in squared singular values of D W, where n_in v = 1 and c = n_out / n_in.

    m(x) is the one root of 1 - c E tm / (1 + tm) = x m, of which the left side falls and the right side grows with m;
    it lies between 1 / (x + c E t) and 1 / x, and is bisected on a logarithmic scale.
    """
    r = torch.arange(-REACH, REACH, STEP, dtype=torch.float64)
    x = (2 * r).exp()
    low, high = -(x + c * float(weights @ t)).log(), -x.log()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        tm = t * middle.exp()[:, None]
        above = 1 - c * ((tm / (1 + tm)) @ weights) > x * middle.exp()
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    tm = t * low.exp()[:, None]
    return float((r.exp() * c * ((tm / (1 + tm)) @ weights)).sum()) * STEP * 2 / math.pi


def _marchenko_pastur(rows: int, columns: int, v: float) -> float:
    from scipy.integrate import quad

    small, large = sorted((rows, columns))
    y = small / large

    def integrand(t: float) -> float:
        return math.sin(t) ** 2 / math.sqrt(1 + y + 2 * math.sqrt(y) * math.cos(t)) if t < math.pi else 0.0

    return math.sqrt(large * v) * (2 / math.pi) * quad(integrand, 0, math.pi, epsabs=1e-13, epsrel=1e-13, limit=200)[0]
