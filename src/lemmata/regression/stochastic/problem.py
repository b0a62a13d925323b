"""Functions known by samples, f(theta) = E F(theta; xi), with what is known exactly of them.

| problem | F(theta; xi), e = theta - theta* | Hessian H | covariance S of the gradient at theta* |
|---|---|---|---|
| `noisy_quadratic` | e' H e / 2 + xi' e,  xi ~ N(0, S) | given | given |
| `linear_regression` | (x' theta - y)^2 / 2,  x ~ N(0, H),  y = x' theta* + N(0, noise^2) | given | noise^2 H |

The first has additive noise: exact moments of every linear method are known. The second has the noise of real
problems, proportional to the features, and least squares on n samples as its sample average approximation. Sums over
data are in `lemmata.regression.stochastic.finite_sum`, networks in `.network`.

A problem works on many points at once: theta is (S, p), and draws have the axes (S, batch, ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.stochastic.checks import check_point, check_tensors

Draws = tuple[Tensor, ...]
Steps = Callable[..., None]


@dataclass(frozen=True, kw_only=True, eq=False)
class StochasticProblem:
    """A function of p parameters, to be minimised by its samples.

    `draw(n, generator)` gives n independent samples, tensors with the leading axis n. `gradient(theta, draws)` is the
    mean gradient over a batch, (S, p) for theta (S, p) and draws (S, batch, ...), and `loss` the mean of F likewise,
    (S,). The rest is None or infinite where it is not known: `expected` f itself, (..., p) -> (...), `minimiser` (p,)
    and `minimum`, `hessian` and `covariance` (p, p) there (H and S above), the constant `mu` of strong convexity and L
    of smoothness of f, the Lipschitz constant `L_each` of every single gradient, the `noise` E|grad F(theta*; xi)|^2,
    and a bound `variance` of tr Cov(grad F(theta; xi)) everywhere. `solve(draws)` minimises the mean of F over samples
    (M, n, ...) in closed form, giving (M, p). `whole` is f as `minimise` takes it.
    `plain_steps(theta, total, draws, stream, sizes, rule)`, if any, takes many steps of many runs at once, by a
    function of `.compiled`; who replaces `gradient` replaces it too, by None if need be.
    """

    name: str
    size: int
    dtype: torch.dtype
    device: torch.device
    draw: Callable[[int, Generator], Draws]
    gradient: Callable[[Tensor, Draws], Tensor]
    loss: Callable[[Tensor, Draws], Tensor]
    expected: Callable[[Tensor], Tensor] | None = None
    minimiser: Tensor | None = None
    minimum: float | None = None
    hessian: Tensor | None = None
    covariance: Tensor | None = None
    mu: float = 0.0
    L: float = math.inf
    L_each: float = math.inf
    noise: float = math.inf
    variance: float = math.inf
    solve: Callable[[Draws], Tensor] | None = None
    whole: Any = None
    plain_steps: Steps | None = None


def noisy_quadratic(H: Tensor, S: Tensor | float = 1.0, minimiser: Tensor | None = None) -> StochasticProblem:
    """A quadratic with Hessian `H` (p, p), or (p,) its diagonal, whose gradient has additive noise of covariance S.

    `S` is a matrix (p, p), a diagonal (p,) or a variance; `minimiser` (p,) is zero by default. Raises `InvalidInput`
    unless H is symmetric positive definite and S positive semidefinite.

    >>> problem = noisy_quadratic(torch.tensor([1.0, 4.0]).double(), 0.25)
    >>> problem.mu, problem.L, problem.noise, problem.minimum
    (1.0, 4.0, 0.5, 0.0)
    """
    H, low, high = _definite("H", H)
    p = len(H)
    given = torch.as_tensor(S).to(H)
    S = _symmetric("S", given.expand(p) if given.ndim == 0 else given)
    if len(S) != p:
        raise InvalidInput(f"S of shape {tuple(given.shape)} beside H {p} x {p}; give ({p}, {p}), ({p},) or a number")
    root = _root(S)
    star = torch.zeros(p, dtype=H.dtype, device=H.device) if minimiser is None else _vector(minimiser, H)

    def draw(n: int, generator: Generator) -> Draws:
        return (_normal((n, p), generator, H) @ root,)

    def gradient(theta: Tensor, draws: Draws) -> Tensor:
        z = draws[0][..., 0, :] if draws[0].shape[-2] == 1 else draws[0].mean(-2)
        return torch.addmm(z, theta - star, H)

    def loss(theta: Tensor, draws: Draws) -> Tensor:
        e = theta - star
        return expected(theta) + (draws[0].mean(-2) * e).sum(-1)

    def expected(theta: Tensor) -> Tensor:
        e = theta - star
        return (e @ H * e).sum(-1) / 2

    def solve(draws: Draws) -> Tensor:
        return star - torch.linalg.solve(H, draws[0].mean(-2).mT).mT

    def plain_steps(theta, total, draws, *rules) -> None:
        from lemmata.regression.stochastic import compiled  # numba takes half a second to import

        compiled.quadratic(theta, total, *draws, *rules, H.numpy(), star.numpy())

    noise = float(S.trace())
    return StochasticProblem(
        name="noisy quadratic", size=p, dtype=H.dtype, device=H.device, draw=draw, gradient=gradient, loss=loss,
        expected=expected, minimiser=star, minimum=0.0, hessian=H, covariance=S, mu=low, L=high, L_each=high,
        noise=noise, variance=noise, solve=solve, whole=expected,
        plain_steps=plain_steps,
    )  # fmt: skip


def linear_regression(H: Tensor, minimiser: Tensor, *, noise: float = 1.0) -> StochasticProblem:
    """Least squares from a stream of samples x ~ N(0, H), y = x' theta* + z, z ~ N(0, noise^2).

    `H` (p, p), or (p,) its diagonal, is the covariance of the features and the Hessian; `minimiser` theta* is (p,).
    The gradient of a sample is unbounded, so that `L_each` is infinite; its second moments are known nevertheless.

    >>> problem = linear_regression(torch.tensor([1.0, 4.0]).double(), torch.ones(2), noise=0.5)
    >>> problem.mu, problem.noise, problem.minimum
    (1.0, 1.25, 0.125)
    """
    H, low, high = _definite("H", H)
    if not (math.isfinite(noise) and noise >= 0):
        raise InvalidInput(f"noise = {noise} is not a standard deviation; it must be finite and 0 or more")
    root, star, p = _root(H), _vector(minimiser, H), len(H)

    def draw(n: int, generator: Generator) -> Draws:
        z = _normal((n, p + 1), generator, H)
        x = z[:, :p] @ root
        return x, x @ star + noise * z[:, p]

    def residual(theta: Tensor, draws: Draws) -> Tensor:
        return (draws[0] @ theta[..., None])[..., 0] - draws[1]

    def gradient(theta: Tensor, draws: Draws) -> Tensor:
        x, y = draws
        if x.shape[-2] == 1:  # one sample a point: a product of numbers and vectors
            x, y = x[..., 0, :], y[..., 0]
            return ((x * theta).sum(-1) - y)[..., None] * x
        return (residual(theta, draws)[..., None, :] @ x)[..., 0, :] / x.shape[-2]

    def loss(theta: Tensor, draws: Draws) -> Tensor:
        return residual(theta, draws).square().mean(-1) / 2

    def expected(theta: Tensor) -> Tensor:
        e = theta - star
        return ((e @ H * e).sum(-1) + noise**2) / 2

    def solve(draws: Draws) -> Tensor:
        return torch.linalg.lstsq(draws[0], draws[1][..., None], driver="gels").solution[..., 0]

    def plain_steps(theta, total, draws, *rules) -> None:
        from lemmata.regression.stochastic import compiled

        compiled.stream_of_samples(theta, total, *draws, *rules)

    return StochasticProblem(
        name="linear regression", size=p, dtype=H.dtype, device=H.device, draw=draw, gradient=gradient, loss=loss,
        expected=expected, minimiser=star, minimum=noise**2 / 2, hessian=H, covariance=noise**2 * H, mu=low, L=high,
        noise=noise**2 * float(H.trace()), solve=solve, whole=expected,
        plain_steps=plain_steps,
    )  # fmt: skip


def _normal(shape: tuple[int, ...], generator: Generator, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)


def _symmetric(name: str, matrix: Tensor) -> Tensor:
    check_tensors(**{name: matrix})
    matrix = torch.diag(matrix) if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix) or not matrix.is_floating_point():
        raise InvalidInput(f"{name} of shape {tuple(matrix.shape)}, {matrix.dtype}; expected floating (p, p) or (p,)")
    if not matrix.isfinite().all() or not torch.allclose(matrix, matrix.mT):
        raise InvalidInput(f"{name} must be symmetric and finite")
    return (matrix + matrix.mT) / 2


def _definite(name: str, matrix: Tensor) -> tuple[Tensor, float, float]:
    matrix = _symmetric(name, matrix)
    values = torch.linalg.eigvalsh(matrix)
    low, high = float(values[0]), float(values[-1])
    if not low > 0:
        raise InvalidInput(f"{name} has the eigenvalue {low:g}; it must be positive definite, or give a ridge")
    return matrix, low, high


def _root(matrix: Tensor) -> Tensor:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    if float(values[0]) < -1e-9 * max(float(values[-1]), 0.0):
        raise InvalidInput(f"a covariance has the eigenvalue {float(values[0]):g}; it must be positive semidefinite")
    return vectors * values.clamp(min=0).sqrt() @ vectors.mT


def _vector(minimiser: Tensor, H: Tensor) -> Tensor:
    check_point("minimiser", minimiser, len(H))
    return minimiser.to(H)
