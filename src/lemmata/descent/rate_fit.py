"""How fast a measured error falls: a power law C n^-p or a geometric one C rho^n, fitted, told apart, with intervals.

    log e_n = log C - p log n        or        log e_n = log C + n log rho

least squares on the logarithms, at steps evenly spaced in log n over a window (by default the last decade, above a
floor of rounding). Both have two parameters, so they are told apart by their residuals alone: the model with the
smaller sum of squares is taken, and the choice counts as *decided* where the other's residual deviation is at least
twice as large. A fit describes its window: local exponents at both ends say how much it would change with it.

Intervals. From several starts or seeds: each has a fit of its own, these are resampled (percentile bootstrap of their
mean). From a single curve: by the delta method, with residuals that are taken to be correlated along the curve
(Newey and West, 1987), which is what curvature of a deterministic curve looks like; it is no sampling error.
Cost: none to speak of. Fails where fewer than 5 points are left in the window, and where errors are not positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.stats import norm

from lemmata.descent.schedules.length import whole
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Series

Model = Literal["power", "geometric"]
FEWEST, MOST = 5, 60  # points of a fit
APART = 2.0  # residual deviations differ by this factor where the choice of the model is decided


@dataclass(frozen=True, kw_only=True)
class RateFit(Estimate):
    """The exponent p of C n^-p (`model` "power") or the factor rho of C rho^n ("geometric") in `value`.

    low, high     its confidence interval at `level`
    constant      C
    window        the first and last step that the fit is about
    each          (S,) the same from every curve by itself
    ends          the local value on the first and on the last half of the window, in log n
    residual      standard deviation of log e around the fit; `residual_other` that of the other model
    decided       whether the two models are told apart
    steps, error  what was fitted: (K,) and (S, K)
    """

    model: Model
    low: float
    high: float
    level: float
    constant: float
    window: tuple[float, float]
    each: np.ndarray = field(repr=False)
    ends: tuple[float, float]
    residual: float
    residual_other: float
    steps: np.ndarray = field(repr=False)
    error: np.ndarray = field(repr=False)

    @property
    def decided(self) -> bool:
        """Whether the other model's residual deviation is at least twice that of this one."""
        return self.residual_other >= APART * self.residual

    def interval(self, level: float | None = None) -> tuple[Any, Any]:
        """Give the interval (low, high); it was computed at `level`, and no other can be had afterwards."""
        if level not in (None, self.level):
            raise InvalidInput(f"the interval was computed at level {self.level}; fit again with level={level}")
        return self.low, self.high

    def predict(self, steps: np.ndarray) -> np.ndarray:
        """The fitted error after each number of steps (...,)."""
        steps = np.asarray(steps, dtype=float)
        return self.constant * (steps**-self.value if self.model == "power" else self.value**steps)

    def plot(self, label: str = "error") -> Figure:
        """Draw the errors with the fit over its window, on axes on which it is a straight line."""
        mean = np.exp(np.log(self.error).mean(0))
        x = np.geomspace(*self.window, 50)
        law = f"n^-{self.value:.4g}" if self.model == "power" else f"{self.value:.6g}^n"
        series = [
            Series(label="measured", x=self.steps, y=mean, seeds=self.error if len(self.error) > 1 else None),
            Series(label=f"fit {law}", x=x, y=self.predict(x), role="theory"),
        ]
        panel = Panel(x=Axis(label="step", log=self.model == "power"), y=Axis(label=label, log=True), series=series)
        chosen = "told apart from" if self.decided else "NOT told apart from"
        caption = (
            f"{self.value:.5g}, {100 * self.level:g} % interval [{self.low:.5g}, {self.high:.5g}], over steps "
            f"{self.window[0]:g} to {self.window[1]:g}; {chosen} the other model."
        )
        return Figure(name="rate-fit", title=f"Fitted rate {law}", caption=caption, panels=[panel])


def fit_rate(
    steps: Sequence[float] | np.ndarray,
    error: np.ndarray | Sequence[float] | Sequence[Sequence[float]],
    *,
    model: Literal["auto", "power", "geometric"] = "auto",
    window: tuple[float, float] | None = None,
    floor: float = 0.0,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> RateFit:
    """Fit the decay of `error` (K,), or of S curves (S, K), at `steps` (K,), which increase from 1 or later.

    `model` "auto" chooses. `window` is the first and last step used; by default the last decade of those where every
    error is above `floor`. Random is only the bootstrap over curves, by `seed`; curves are the unit of replication.
    Raises `InvalidInput` for shapes that do not fit, errors that are not positive in the window, and fewer than five
    points there.

    >>> n = np.arange(1, 1001)
    >>> fit = fit_rate(n, 3 * n**-1.25)
    >>> round(fit.value, 9), round(fit.constant, 9), fit.model, fit.decided, fit.window
    (1.25, 3.0, 'power', True, (100.0, 1000.0))
    """
    if model not in ("auto", "power", "geometric"):
        raise UnknownName("model", str(model), ("auto", "power", "geometric"))
    if not 0 < level < 1:
        raise InvalidInput(f"confidence level {level} is not between 0 and 1; take 0.95, say")
    resamples = whole(resamples, "resamples")
    n, e = _windowed(*_checked(steps, error), window, floor)
    logs = np.log(e)
    kinds: tuple[Model, ...] = ("power", "geometric")
    residuals: dict[Model, float] = {kind: _residual(_axis(n, kind), logs) for kind in kinds}
    own: Model = model if model != "auto" else min(residuals, key=lambda kind: residuals[kind])
    other: Model = "geometric" if own == "power" else "power"
    axis = _axis(n, own)
    slopes = _slopes(axis, logs)
    slope, half = float(slopes.mean()), len(n) // 2
    if len(e) > 1:
        draw = np.random.default_rng(seed)
        means = slopes[draw.integers(len(e), size=(resamples, len(e)))].mean(1)
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        stderr = float(slopes.std(ddof=1)) / len(e) ** 0.5
    else:
        stderr = _correlated(axis, logs[0])
        low, high = (slope + stderr * norm.ppf(side) for side in ((1 - level) / 2, (1 + level) / 2))
    ends = [float(_slopes(axis[part], logs[:, part]).mean()) for part in (slice(0, half + 1), slice(half, None))]
    value, *rest = (_read(s, own) for s in (slope, float(low), float(high), *ends))
    return RateFit(
        value, stderr=stderr * (1.0 if own == "power" else value), n=len(e), model=own, low=min(rest[:2]),
        high=max(rest[:2]), level=level, constant=float(np.exp((logs.mean(0) - slope * axis).mean())),
        window=(float(n[0]), float(n[-1])), each=_read(slopes, own), ends=(rest[2], rest[3]), residual=residuals[own],
        residual_other=residuals[other], steps=n, error=e,
    )  # fmt: skip


def _checked(steps: Any, error: Any) -> tuple[np.ndarray, np.ndarray]:
    n, e = np.asarray(steps, dtype=float), np.atleast_2d(np.asarray(error, dtype=float))
    if n.ndim != 1 or e.ndim != 2 or e.shape[1] != len(n):
        raise InvalidInput(f"errors of shape {e.shape} for {n.shape} steps; give (K,) or (S, K) for steps (K,)")
    if not len(n) or not (np.isfinite(n).all() and n[0] >= 0 and (np.diff(n) > 0).all()):
        raise InvalidInput(f"the steps must be finite and increase, and not be negative; got {n[:5]} ...")
    return n, e


def _windowed(
    n: np.ndarray, e: np.ndarray, window: tuple[float, float] | None, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    """The points of the window, thinned to be even in log n."""
    kept = n > 0
    if window is None:
        below = np.flatnonzero((e <= floor).any(0) & kept)
        last = n[below[0] - 1] if len(below) and below[0] > 0 else n[-1]
        first, last = float(last) / 10, float(last)
    else:
        first, last = window
    kept &= (n >= first * (1 - 1e-12)) & (n <= last)
    n, e = n[kept], e[:, kept]
    if not ((e > 0) & np.isfinite(e)).all():
        raise InvalidInput(
            f"an error in the window is {e.min():g} or not finite; a rate is that of positive errors: end the window "
            "before they reach the rounding, or give `floor`"
        )
    if len(n) > MOST:
        wanted = np.geomspace(n[0], n[-1], MOST)
        chosen = np.unique(np.abs(np.log(n)[None] - np.log(wanted)[:, None]).argmin(1))
        n, e = n[chosen], e[:, chosen]
    if len(n) < FEWEST:
        raise InvalidInput(
            f"{len(n)} points between steps {first:g} and {last:g} above the floor; a rate wants {FEWEST} or "
            "more: take a wider window or a longer run"
        )
    return n, e


def _axis(n: np.ndarray, model: str) -> np.ndarray:
    return np.log(n) if model == "power" else n


def _slopes(axis: np.ndarray, logs: np.ndarray) -> np.ndarray:
    centred = axis - axis.mean()
    return logs @ centred / (centred @ centred)


def _residual(axis: np.ndarray, logs: np.ndarray) -> float:
    """Root mean square of what the line leaves of each curve, with the degrees of freedom it takes."""
    centred = axis - axis.mean()
    rest = logs - logs.mean(1, keepdims=True) - np.outer(_slopes(axis, logs), centred)
    return float(np.sqrt((rest**2).sum() / (len(logs) * (len(axis) - 2))))


def _correlated(axis: np.ndarray, logs: np.ndarray) -> float:
    """Newey and West's standard error of the slope, with Bartlett weights up to lag 4 (K / 100)^(2/9), at least 4."""
    centred = axis - axis.mean()
    rest = logs - logs.mean() - float(_slopes(axis, logs[None])[0]) * centred
    score, lags = centred * rest, max(4, round(4 * (len(axis) / 100) ** (2 / 9)))
    total = score @ score
    for lag in range(1, min(lags, len(axis) - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * (score[lag:] @ score[:-lag])
    return float(np.sqrt(max(total, 0.0))) / float(centred @ centred)


def _read(slope: Any, model: Model) -> Any:
    return -slope if model == "power" else np.exp(slope)
