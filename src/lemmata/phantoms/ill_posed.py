"""Classical ill-posed problems A x = b with a known solution, for the choice of a regularisation parameter.

Each is a Fredholm or Volterra equation of the first kind, int K(s, t) x(t) dt = b(s), discretised on n midpoints of
equal weight h, A_ij = h K(s_i, t_j), and b = A x exactly, so that x is the truth of the discrete problem.

| name | K(s, t) | x | singular values fall |
|---|---|---|---|
| shaw | (cos s + cos t)^2 (sin u / u)^2, u = pi (sin s + sin t) | two bumps | exponentially |
| gravity | d (d^2 + (s - t)^2)^(-3/2), d = 1/4 | sin pi t + sin(2 pi t)/2 | exponentially |
| foxgood | sqrt(s^2 + t^2) | t | exponentially |
| baart | exp(s cos t) | sin t | faster still |
| heat | (4 pi)^(-1/2) (s-t)^(-3/2) exp(-1/(4 (s - t))), t < s | a ramp, a bump, a decay | slowly, then at once |
| phillips | 1 + cos(pi (s - t) / 3), where |s - t| < 3 | the same function of t | like i^-3 |
| deriv2 | Green's function of the second derivative | t | like i^-2 |
| blur | Gaussian of width 0.02 in (0, 1) | a piecewise constant signal | like a Gaussian |

Sources: Shaw (1972), J. Math. Anal. Appl. 37; Phillips (1962), J. ACM 9; Fox and Goodwin (1953), Phil. Trans. A 245;
Baart (1982), IMA J. Numer. Anal. 2; Carasso (1982), SIAM J. Appl. Math. 42 (heat); Wing and Zahrt (1991) (gravity);
Hansen (1994), Regularization Tools, Numer. Algorithms 6, where all but the last are collected (some of them
discretised in another way, so that figures differ from his in the third digit). Float64. Cost: an (n, n) matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.phantoms.phantom import F64, normals

Kernel = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class IllPosed:
    """A (n, n), the true x (n,), b = A x (n,), and the points t (n,) that x is given at.

    >>> problem = ill_posed("shaw", 32)
    >>> problem.A.shape, bool((problem.A @ problem.x == problem.b).all())
    (torch.Size([32, 32]), True)
    """

    name: str
    A: Tensor
    x: Tensor
    b: Tensor
    t: Tensor

    def noise_level(self, relative: float) -> float:
        """The standard deviation sigma of white noise e with E|e|^2 = relative^2 |b|^2."""
        return relative * float(self.b.norm()) / math.sqrt(len(self.b))

    def noisy(self, relative: float, draws: int = 1, *, seed: int | torch.Generator = 0) -> Tensor:
        """Noisy data, (n, draws): b and white Gaussian noise of `noise_level(relative)`, a column a draw."""
        if not 0 <= relative < math.inf or draws < 1:
            raise InvalidInput(f"noise of {relative} |b| in {draws} draws; give a level of 0 or more, and draws")
        (e,) = normals(seed, (len(self.b), draws))
        return self.b[:, None] + self.noise_level(relative) * e


def ill_posed(name: str, n: int = 64) -> IllPosed:
    """The problem of this name (see the table above, or `ILL_POSED`) on n points. Nothing is random.

    Raises `UnknownName`, and `InvalidInput` for fewer than 8 points.

    >>> condition = torch.linalg.cond(ill_posed("phillips", 64).A)
    >>> bool(1e4 < condition < 1e6)
    True
    """
    if name not in ILL_POSED:
        raise UnknownName("ill-posed problem", name, ILL_POSED)
    if n < 8:
        raise InvalidInput(f"n = {n} points show nothing of an integral equation; take 8 or more")
    return ILL_POSED[name](n)


def _discretised(
    name: str, n: int, kernel: Kernel, solution: Callable[[Tensor], Tensor], source: tuple[float, float], *,
    target: tuple[float, float] | None = None,
) -> IllPosed:  # fmt: skip
    """The midpoint rule on n cells of `source` (for t) and n midpoints of `target` (for s)."""
    t, s = _midpoints(*source, n), _midpoints(*(target or source), n)
    A = kernel(s[:, None], t[None]) * (source[1] - source[0]) / n
    x = solution(t)
    return IllPosed(name, A, x, A @ x, t)


def _midpoints(low: float, high: float, n: int) -> Tensor:
    return low + (high - low) * (torch.arange(n, dtype=F64) + 0.5) / n


def _shaw(n: int) -> IllPosed:
    def kernel(s: Tensor, t: Tensor) -> Tensor:
        return (s.cos() + t.cos()).square() * torch.sinc(s.sin() + t.sin()).square()  # sinc is sin(pi u) / (pi u)

    def solution(t: Tensor) -> Tensor:
        return 2 * (-6 * (t - 0.8).square()).exp() + (-2 * (t + 0.5).square()).exp()

    return _discretised("shaw", n, kernel, solution, (-math.pi / 2, math.pi / 2))


def _gravity(n: int, depth: float = 0.25) -> IllPosed:
    def kernel(s: Tensor, t: Tensor) -> Tensor:
        return depth * (depth**2 + (s - t).square()) ** -1.5

    def solution(t: Tensor) -> Tensor:
        return (math.pi * t).sin() + (2 * math.pi * t).sin() / 2

    return _discretised("gravity", n, kernel, solution, (0.0, 1.0))


def _foxgood(n: int) -> IllPosed:
    return _discretised("foxgood", n, torch.hypot, torch.clone, (0.0, 1.0))


def _baart(n: int) -> IllPosed:
    return _discretised(
        "baart", n, lambda s, t: (s * t.cos()).exp(), torch.sin, (0.0, math.pi), target=(0.0, math.pi / 2)
    )


def _heat(n: int, kappa: float = 1.0) -> IllPosed:
    h = 1 / n
    lag = h * (torch.arange(n, dtype=F64) + 0.5)  # the midpoint rule, half a cell after the cell's own point
    k = h / (2 * kappa * math.sqrt(math.pi)) * lag**-1.5 * (-1 / (4 * kappa**2 * lag)).exp()
    distance = torch.arange(n)[:, None] - torch.arange(n)[None]
    A = torch.where(distance >= 0, k[distance.clamp(min=0)], 0.0)
    t = _midpoints(0.0, 1.0, n)
    u = 20 * t
    late = torch.where(u < 3, 0.75 + (u - 2) * (3 - u), 0.75 * (-2 * (u - 3)).exp())
    x = torch.where(u < 2, 0.75 * u.square() / 4, late)
    x = torch.where(t < 0.5, x, torch.zeros_like(x))
    return IllPosed("heat", A, x, A @ x, t)


def _phillips(n: int) -> IllPosed:
    def bump(t: Tensor) -> Tensor:
        return torch.where(t.abs() < 3, 1 + (math.pi * t / 3).cos(), torch.zeros_like(t))

    return _discretised("phillips", n, lambda s, t: bump(s - t), bump, (-6.0, 6.0))


def _deriv2(n: int) -> IllPosed:
    def kernel(s: Tensor, t: Tensor) -> Tensor:
        return torch.where(s < t, s * (t - 1), t * (s - 1))

    return _discretised("deriv2", n, kernel, torch.clone, (0.0, 1.0))


def _blur(n: int, width: float = 0.02) -> IllPosed:
    def kernel(s: Tensor, t: Tensor) -> Tensor:
        return (-((s - t) / width).square() / 2).exp() / (width * math.sqrt(2 * math.pi))

    def solution(t: Tensor) -> Tensor:
        steps = ((0.1, 1.0), (0.25, -1.5), (0.45, 1.3), (0.7, -0.3), (0.85, -0.5))
        return sum((height * (t >= place) for place, height in steps), torch.zeros_like(t))

    return _discretised("blur", n, kernel, solution, (0.0, 1.0))


ILL_POSED: dict[str, Callable[[int], IllPosed]] = {
    "shaw": _shaw,
    "gravity": _gravity,
    "foxgood": _foxgood,
    "baart": _baart,
    "heat": _heat,
    "phillips": _phillips,
    "deriv2": _deriv2,
    "blur": _blur,
}
"""The problems by name, each a function of the number of points."""
