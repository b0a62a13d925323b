"""Gradient flow of linear classification in logarithmic time: to t = 10^434, in the study of Soudry and others (2018).

With s = log(1 + t), the flow dw/dt = -sum_n l'(z_n w) z_n of a loss l(u) is

    logistic      dw/ds = sum z_n / (exp(-s) + exp(z_n w - s))
    exponential   dw/ds = sum z_n exp(s - z_n w)
    polynomial    dw/ds = sum z_n exp(s - 2 log(1 + z_n w)),    l = 1 / (1 + u), and 1 - u for u < 0
    squared       dw/ds = exp(s) sum z_n (1 - z_n w)

For the first three the exponents stay of order 1 where the flow goes: neither stiff nor beyond the range of numbers, so
that an explicit method of order 8 takes a few thousand steps for all data sets at once. Where w(t) converges (squared
loss, or classes that overlap) the system is stiff, but only until it has arrived: integration ends there.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy.integrate import solve_ivp
from scipy.special import logsumexp

from lemmata.studies._soudry_2018_margin import Machine, Sample, examples, fresh
from lemmata.study import Curve, Measurements

TOLERANCE = 1e-9  # of the integrator, relative and absolute
ARRIVED = 1e-5  # |dw/ds| below which w has converged; rounding makes 1e-7 of it
VALIDATION = 2000  # fresh examples

Loss = Literal["logistic", "exponential", "polynomial", "squared"]


class Flow(Sample):
    """Gradient flow on one data set, from w = 0."""

    loss: Loss = "logistic"
    log_time: float = Field(default=1000.0, ge=10, description="log(1 + t) at the end")


def pull(loss: Loss, s: float, margins: np.ndarray) -> np.ndarray:
    """-exp(s) l'(u) of margins u = z w, any shape."""
    if loss == "logistic":
        return 1 / (np.exp(-s) + np.exp(np.minimum(margins - s, 700)))
    if loss == "exponential":
        return np.exp(np.minimum(s - margins, 700))
    if loss == "polynomial":
        return np.exp(s - 2 * np.log1p(np.maximum(margins, 0)))
    return np.exp(s) * (1 - margins)


def log_loss(loss: Loss, margins: np.ndarray) -> np.ndarray:
    """Logarithm of sum_n l(u_n) over the last axis, without underflow."""
    if loss == "logistic":
        far = np.minimum(margins, 30)
        return logsumexp(np.where(margins > 30, -margins, np.log(np.log1p(np.exp(-far)))), axis=-1)
    if loss == "exponential":
        return logsumexp(-margins, axis=-1)
    if loss == "polynomial":
        wrong = np.log1p(np.maximum(-margins, 0))
        return logsumexp(np.where(margins > 0, -np.log1p(np.maximum(margins, 0)), wrong), axis=-1)
    return np.log(np.square(1 - margins).sum(-1) / 2)


def integrate(z: np.ndarray, loss: Loss, moments: np.ndarray) -> np.ndarray:
    """The weights (M, T, d) at the moments s (T,), increasing from 0, of the flows on data sets z (M, n, d)."""
    members, _, d = z.shape

    def velocity(s: float, flat: np.ndarray) -> np.ndarray:
        margins = np.matmul(z, flat.reshape(members, d, 1))[..., 0]
        return np.matmul(pull(loss, s, margins)[:, None], z).ravel()

    def moving(s: float, flat: np.ndarray) -> float:
        return float(np.abs(velocity(s, flat)).max()) - ARRIVED

    moving.terminal = True  # type: ignore[attr-defined]
    start = np.zeros(members * d)
    path = solve_ivp(
        velocity, (0.0, moments[-1]), start, method="DOP853", t_eval=moments, events=moving, rtol=TOLERANCE,
        atol=TOLERANCE,
    )  # fmt: skip
    ends = np.asarray((path.y_events or [[]])[0])
    rest = np.repeat((ends[0] if len(ends) else start)[:, None], len(moments) - path.y.shape[1], axis=1)
    return np.moveaxis(np.hstack([path.y, rest]).reshape(members, d, -1), 1, 2)


def run_flows(configs: Sequence[Flow]) -> list[Measurements]:
    """Integrate all data sets of a block at once, and hold each against its support vector machine."""
    first = configs[0]
    drawn = [examples(config) for config in configs]
    half = first.log_time / 2
    moments = np.unique(np.concatenate([[0.0], np.geomspace(0.1, first.log_time, 120), [half]]))
    weights = integrate(np.stack([z for z, _ in drawn]), first.loss, moments)
    return [
        measured(config, z, own, moments[1:], w[1:])
        for config, (z, own), w in zip(configs, drawn, weights, strict=True)
    ]


def measured(config: Flow, z: np.ndarray, own: Machine, s: np.ndarray, w: np.ndarray) -> Measurements:
    """Rates between half of log t and its end, the constants at the end, and the curves."""
    log_t = s + np.log1p(-np.exp(-s))  # s = log(1 + t)
    i, j = int(np.argmin(np.abs(s - s[-1] / 2))), len(s) - 1
    norm, angle, gap = geometry(w, z, own)
    log_l = log_loss(config.loss, w @ z.T)
    rho = w - log_t[:, None] * own.w
    off_dual = np.abs(rho[j] @ z[own.support].T + np.log(own.alpha[own.support])).max()
    predicted = np.maximum(log_t, 1)[:, None] * own.w + own.rho
    predicted_norm, predicted_angle, _ = geometry(predicted, z, own)
    constants = {}
    if own.gap_constant > 0:
        constants["gap_constant"] = float(gap[j] * log_t[j] / own.gap_constant)
    if own.spanning:
        constants["angle_constant"] = float(angle[j] / predicted_angle[j])
    unscaled = own.margin / config.scale  # the margin of the data before they were scaled

    def secant(values: np.ndarray) -> float:
        return float((values[j] - values[i]) / (log_t[j] - log_t[i]))

    def exponent(values: np.ndarray) -> float:
        return float(np.log(values[j] / values[i]) / np.log(log_t[j] / log_t[i]))

    return Measurements.of(
        margin=own.margin,
        support_vectors=int(own.support.sum()),
        norm_slope=secant(norm) * unscaled,
        loss_slope=secant(log_l),
        loss_constant=float(np.exp(min(log_l[j] + log_t[j], 700)) * unscaled**2),
        angle_exponent=exponent(angle),
        gap_exponent=exponent(gap),
        off_predicted_norm=float(np.abs(norm[i:] / predicted_norm[i:] - 1).max()),
        final_angle=float(np.degrees(angle[j])),
        residual_drift=float(np.abs(rho[j] - rho[i]).max()),
        off_dual=float(off_dual),
        **constants,
        **validation(config, own, s, log_t, w, secant=secant),
        norm=Curve(s, norm * own.margin),
        scaled_loss=Curve(s, log_l + log_t - 2 * np.log(1 / own.margin)),
        angle=Curve(s, np.degrees(angle)),
        margin_gap=Curve(s, gap),
        predicted_angle=Curve(s, np.degrees(predicted_angle)),
    )  # fmt: skip


def geometry(w: np.ndarray, z: np.ndarray, own: Machine) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Norm, angle to the machine (radian) and relative gap to the largest margin of weights (T, d): (T,) each."""
    norm = np.linalg.norm(w, axis=1)
    apart = np.linalg.norm(w / norm[:, None] - own.w * own.margin, axis=1)
    return norm, 2 * np.arcsin(np.minimum(apart / 2, 1)), 1 - (w @ z.T).min(1) / (norm * own.margin)


def validation(
    config: Flow,
    own: Machine,
    s: np.ndarray,
    log_t: np.ndarray,
    w: np.ndarray,
    *,
    secant: Callable[[np.ndarray], float],
) -> dict[str, Any]:
    """Loss and error on fresh examples: where the machine errs, the loss grows by -z w for each unit of log t."""
    if config.law == "degenerate":
        return {}
    z = fresh(config, VALIDATION)
    margins = w @ z.T
    loss = np.logaddexp(0, -margins).mean(1)
    error = (margins <= 0).mean(1)
    predicted = float(np.maximum(-(z @ own.w), 0).mean())
    early = int(np.argmin(np.abs(log_t - np.log(10))))
    growth = {"validation_growth": secant(loss) / predicted} if predicted > 0 else {}
    return {
        **growth,
        "validation_rate": predicted,
        "validation_error_change": float(error[-1] - error[early]),
        "validation_loss": Curve(s, loss),
        "validation_error": Curve(s, error),
    }
