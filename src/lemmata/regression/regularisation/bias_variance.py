"""Bias and variance of a regularised solution as functions of its parameter, exactly and by simulation.

For b = A x_true + e, e white of standard deviation sigma, and Tikhonov with A_lam = A'A + lam L'L,

    E |x_lam - x_true|^2 = lam^2 |A_lam^-1 L'L x_true|^2 + sigma^2 tr(A A_lam^-2 A')
                           (squared bias: rises with lam)  (variance: falls with lam)

(Hoerl and Kennard, 1970, for L = I). In the coefficients of the standard form, for any filter f,

    bias     = -X diag(1 - f) xi - what no filter reaches,      xi = X' L'L x_true,
    variance = sigma^2 (sum (f/s)^2 |X_i|^2 + |N T^-1|_F^2),

and of the prediction A x: squared bias sum (1-f)^2 s^2 xi^2, variance sigma^2 (k + sum f^2).

Cost: one decomposition, O(T n q). Needs the truth, so it is for teaching and for tests. Assumes white noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.figures.figure import mean_and_band
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.choice import least
from lemmata.regression.regularisation.path import VALUES, Path, ridge_path
from lemmata.regression.regularisation.standard_form import StandardForm

Of = Literal["solution", "prediction"]
BYTES = 2**26


@dataclass(frozen=True, eq=False, kw_only=True)
class BiasVariance:
    """Squared `bias` and `variance` at `values` (each (T,), float64), of the solution or of its prediction.

    `best` is the value of the parameter of least expected squared error, `least` that error.
    """

    values: Tensor
    bias: Tensor
    variance: Tensor
    best: float
    least: float
    of: Of
    noise: float
    truth: Tensor
    path: Path

    @property
    def total(self) -> Tensor:
        """The expected squared error (T,)."""
        return self.bias + self.variance

    def simulate(self, draws: int = 200, *, seed: int | torch.Generator = 0) -> Tensor:
        """Squared errors at each value for independent draws of the noise, (draws, T); their mean tends to `total`."""
        if draws < 1:
            raise InvalidInput(f"draws = {draws}; at least one is wanted")
        generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        form, clean = self.path.form, self.path.form.A @ self.truth
        noise = torch.randn(len(clean), draws, generator=generator, dtype=torch.float64).to(clean)
        b = clean[:, None] + self.noise * noise
        block = max(1, BYTES // (8 * len(self.truth) * draws))
        found = []
        for part in self.values.split(block):
            wrong = form.solution(b, self.path.factors(part).inverse) - self.truth[:, None, None]
            if self.of == "prediction":
                wrong = torch.einsum("mn,nkt->mkt", form.A, wrong)
            found.append(wrong.double().square().sum(0))
        return torch.cat(found, 1)

    def plot(self, samples: Tensor | None = None) -> Figure:
        """Draw bias, variance and their sum, and the mean of simulated errors (draws, T) with its 95 % band."""
        return Figure(
            name="bias-variance",
            title="Bias and variance",
            caption=f"Expected squared error of the {self.of}; white noise of standard deviation {self.noise:.3g}.",
            panels=[self.panel(samples)],
        )

    def panel(self, samples: Tensor | None = None) -> Panel:
        """The same as one panel."""
        values = self.values.double().cpu().numpy()
        parts = {"squared bias": self.bias, "variance": self.variance}
        series = [Series(label=name, x=values, y=y.cpu().numpy()) for name, y in parts.items()]
        series.append(Series(label="expected error", x=values, y=self.total.cpu().numpy(), role="theory"))
        if samples is not None:
            mean, low, high = mean_and_band(samples.cpu().numpy())
            series.append(Series(label="simulated, mean and 95 % band", x=values, y=mean, low=low, high=high))
        bottom = max(float(self.total.min()) / 30, 1e-300)
        top = min(2 * float(self.total.max()), 1e6 * bottom)
        seen = values[(self.total <= top).cpu().numpy()]  # for tiny parameters the variance leaves every scale
        return Panel(
            x=Axis(
                label=self.path.filter.parameter,
                log=self.path.filter.continuous,
                limits=(float(seen[0]), float(seen[-1])) if len(seen) > 1 else None,
            ),
            y=Axis(label=f"squared error of the {self.of}", log=True, limits=(bottom, top)),
            series=series,
            references=[Reference(label=f"least at {self.best:.3g}", value=self.best, axis="x", role="theory")],
        )


def bias_variance(
    A: Tensor | StandardForm | Path,
    truth: Tensor,
    noise: float,
    values: int | Tensor = VALUES,
    *,
    L: Tensor | LinearOperator | None = None,
    of: Of = "solution",
) -> BiasVariance:
    """Bias and variance over a ridge path of A (m, n), or over a path of any filter, for the true x `truth` (n,).

    `noise` is the standard deviation sigma of an entry of b. Nothing is random but `BiasVariance.simulate`.

    Raises `InvalidInput` for a negative noise, a truth that does not fit, and as `ridge_path`.

    >>> parts = bias_variance(torch.eye(2).double(), torch.tensor([3.0, 4.0]).double(), 1.0, torch.tensor([1.0]))
    >>> parts.bias, parts.variance  # x = b / 2: |x_true|^2 / 4, and 2 / 4
    (tensor([6.2500], dtype=torch.float64), tensor([0.5000], dtype=torch.float64))
    """
    if of not in get_args(Of):
        raise UnknownName("error", of, get_args(Of))
    if not (noise >= 0 and math.isfinite(noise)):
        raise InvalidInput(f"noise = {noise}; a standard deviation is 0 or more, and finite")
    path = _along(A, truth, values, L)
    form = path.form
    parts = _Parts(path, truth, noise, of)
    value, _, _ = least(path, lambda at: sum(parts(at)))  # type: ignore[arg-type]
    bias, variance = parts(path.values)
    lowest = sum(float(part[0]) for part in parts(torch.tensor([value], dtype=torch.float64, device=form.A.device)))
    return BiasVariance(
        values=path.values, bias=bias, variance=variance, best=value, least=lowest, of=of, noise=float(noise),
        truth=truth, path=path,
    )  # fmt: skip


def _along(
    A: Tensor | StandardForm | Path, truth: Tensor, values: int | Tensor, L: Tensor | LinearOperator | None
) -> Path:
    matrix = A.form.A if isinstance(A, Path) else A.A if isinstance(A, StandardForm) else A
    if truth.shape != matrix.shape[1:] or not truth.isfinite().all():
        raise InvalidInput(f"the truth has shape {tuple(truth.shape)}; give ({matrix.shape[1]},), finite")
    if isinstance(A, Path):
        return A
    return ridge_path(A, matrix @ truth.to(matrix), values, L=L)


class _Parts:
    """Squared bias and variance at any values of the parameter."""

    def __init__(self, path: Path, truth: Tensor, noise: float, of: Of):
        self.path, self.of, self.variance = path, of, noise**2
        form = path.form
        x = truth.to(form.A)[:, None]
        xi = form.coordinates(x)
        fitted = form.X @ xi + form.free @ (form.Q.mT @ (form.A @ x))  # by any filter that lets all through
        self.xi, self.missed = xi.double()[:, 0], (x - fitted).double()[:, 0]
        self.X, self.free2 = form.X.double(), float(form.free.double().square().sum())

    def __call__(self, values: Tensor) -> tuple[Tensor, Tensor]:
        kept, left, inverse = self.path.factors(values)
        if self.of == "prediction":
            bias = left.square() @ (self.path.form.s.double() * self.xi).square()
            return bias, self.variance * (self.path.form.null + kept.square().sum(1))
        bias = ((left * self.xi) @ self.X.T + self.missed).square().sum(1)
        return bias, self.variance * (inverse.square() @ self.X.square().sum(0) + self.free2)
