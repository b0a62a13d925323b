"""What a rule of descent does to each eigendirection of a squared loss, at any number of steps at once.

Along an eigenvector of rate l = kappa lambda (kernel eigenvalue times the loss's curvature) the error starts at 1 and

    remaining  g_t(l)       the error left at time t
    travelled  a_t(l)       the sum of what the rule took of it, g_t = 1 - l a_t

    flow           g = exp(-l t)                   a = (1 - exp(-l t)) / l
    descent        g = (1 - eta l)^t               a = (1 - (1 - eta l)^t) / l
    heavy ball     u' = mu u + r,  a' = a + eta u',              r' = r - l (a' - a)
    Nesterov       u' = mu u + r,  a' = a + eta (r + mu u'),     r' = r - l (a' - a)

The last two are powers of a 3x3 matrix for each l, taken by repeated squaring: log2 t products, at any t. Where l = 0
(a direction in which the kernel is blind) nothing moves: g = 1 and a = 0, as the parameters' part J^T q vanishes.

The updates are those of `lemmata.training.SGD`. Accuracy: a few units in the last place for flow and descent, and about
t of them for momentum. Stable for l below 2 / eta, (2 + 2 mu) / eta and (2 + 2 mu) / (eta (1 + 2 mu)); beyond, g grows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.curvature.stability import stability_threshold
from lemmata.errors import InvalidInput
from lemmata.given import require_number, require_tensor
from lemmata.training import SGD

F64 = torch.float64


@dataclass(frozen=True)
class GradientFlow:
    """Gradient flow, descent in the limit of small steps; its time is step size times steps.

    >>> str(GradientFlow())
    'gradient flow'
    """

    def __str__(self) -> str:
        return "gradient flow"


Rule = GradientFlow | SGD
Times = Sequence[float] | Tensor


@dataclass(frozen=True)
class SpectralFilter:
    """`remaining` g and `travelled` a at T times for rates (..., N): both (T, ..., N), float64."""

    remaining: Tensor
    travelled: Tensor


def spectral_filter(rule: Rule, rates: Tensor, times: Times) -> SpectralFilter:
    """Evaluate g_t and a_t for nonnegative rates (..., N) at `times` (T,): steps of the rule, or times of the flow.

    Infinite times give the limit. Raises `InvalidInput` for times that are negative or no whole steps, momentum outside
    [0, 1), and an infinite time with a step size beyond the limit of stability.

    >>> found = spectral_filter(SGD(lr=0.5), torch.tensor([1.0, 0.0]), [0, 2])
    >>> found.remaining[1].tolist(), found.travelled[1].tolist()
    ([0.25, 1.0], [0.75, 0.0])
    """
    when, rates = checked_times(times, rule), require_tensor(rates, "rates").to(F64)
    if not bool(((rates >= 0) & rates.isfinite()).all()):
        raise InvalidInput("rates must be finite and not negative; clamp what rounding made of zero")
    if math.inf in when and not is_stable(rule, rates):
        raise InvalidInput(
            f"{named(rule)} diverges: the largest rate is {float(rates.max()):.4g}, the rule is stable below "
            f"{limit_of(rule):.4g}; take a smaller step size, or finite times"
        )
    if isinstance(rule, GradientFlow):
        parts = [_flow(rates, t) for t in when]
    elif step_and_momentum(rule)[1] == 0:
        parts = [_descent(rates, t, step_and_momentum(rule)[0]) for t in when]
    else:
        parts = _momentum(rates, when, rule)
    blind = rates == 0
    remaining, travelled = (torch.stack(each) for each in zip(*parts, strict=True))
    return SpectralFilter(remaining.masked_fill(blind, 1.0), travelled.masked_fill(blind, 0.0))


def checked_times(times: Times, rule: Rule) -> list[float]:
    """The times as floats, or a refusal of what is no time of this rule."""
    read_rule(rule)
    if isinstance(times, str) or not isinstance(times, Iterable):
        raise InvalidInput(f"times = {times!r}: give a sequence, [10] for one")
    when = [require_number(t, "a time") for t in times]
    if not when or any(math.isnan(t) or t < 0 for t in when):
        raise InvalidInput(f"times = {when}: give at least one, and none that is negative or NaN")
    if isinstance(rule, SGD) and any(t != math.inf and t != int(t) for t in when):
        raise InvalidInput(f"times = {when}: descent has whole steps; give integers, or take GradientFlow()")
    return when


def read_rule(rule: Rule) -> None:
    """Refuse a rule without closed form, and settings outside their range."""
    if isinstance(rule, GradientFlow):
        return
    if not isinstance(rule, SGD):
        raise InvalidInput(f"no closed form for {type(rule).__name__}; take GradientFlow(), or training.SGD or GD")
    eta, mu = step_and_momentum(rule)
    if not (0 < eta < math.inf and 0 <= mu < 1):
        raise InvalidInput(f"lr = {eta}, momentum = {mu}: the step size must be positive, the momentum in [0, 1)")
    if _number(rule.weight_decay, "weight_decay") != 0 or rule.lr_scale:
        raise InvalidInput("weight decay and step sizes by layer have no closed form in the kernel; leave them out")


def is_stable(rule: Rule, rates: Tensor) -> bool:
    """Whether no direction of these rates grows for ever."""
    return not rates.numel() or float(rates.max()) < limit_of(rule)


def limit_of(rule: Rule) -> float:
    """The rate from which on the rule diverges: infinite for the flow."""
    if isinstance(rule, GradientFlow):
        return math.inf
    eta, mu = step_and_momentum(rule)
    return float(stability_threshold(eta, mu, nesterov=rule.nesterov))


def named(rule: Rule) -> str:
    """The rule in words.

    >>> named(SGD(lr=0.1, momentum=0.9, nesterov=True))
    'Nesterov momentum 0.9, step size 0.1'
    """
    if isinstance(rule, GradientFlow):
        return str(rule)
    eta, mu = step_and_momentum(rule)
    kind = f"{'Nesterov' if rule.nesterov else 'heavy-ball'} momentum {mu:g}" if mu else "gradient descent"
    return f"{kind}, step size {eta:g}"


def step_and_momentum(rule: SGD) -> tuple[float, float]:
    """The step size and the momentum as numbers."""
    return _number(rule.lr, "lr"), _number(rule.momentum, "momentum")


def _number(value: object, what: str) -> float:
    read = require_number(value, what)
    if not math.isfinite(read):
        raise InvalidInput(f"{what} = {value}: the closed form takes one finite number")
    return read


def _flow(rates: Tensor, t: float) -> tuple[Tensor, Tensor]:
    positive = rates.clamp(min=torch.finfo(F64).tiny)
    return torch.exp(-positive * t), -torch.expm1(-positive * t) / positive


def _descent(rates: Tensor, t: float, eta: float) -> tuple[Tensor, Tensor]:
    positive = rates.clamp(min=torch.finfo(F64).tiny)
    factor = 1 - eta * positive
    remaining = factor.pow(t)
    if t == math.inf:
        return torch.zeros_like(rates), 1 / positive
    slow = torch.expm1(t * torch.log1p(-(eta * positive).clamp(max=0.5)))  # without cancellation where eta l is small
    return remaining, -torch.where(eta * positive < 0.5, slow, remaining - 1) / positive


def _momentum(rates: Tensor, when: list[float], rule: SGD) -> list[tuple[Tensor, Tensor]]:
    """Powers of the matrix that takes (travelled, remaining, velocity) one step on, for every rate."""
    eta, mu = step_and_momentum(rule)
    of_error, of_velocity = (eta * (1 + mu), eta * mu**2) if rule.nesterov else (eta, eta * mu)
    one, zero = torch.ones_like(rates), torch.zeros_like(rates)
    rows = (
        (one, of_error * one, of_velocity * one),
        (zero, 1 - of_error * rates, -of_velocity * rates),
        (zero, one, mu * one),
    )
    power = torch.stack([torch.stack(row, -1) for row in rows], -2)
    finite = [int(t) for t in when if t != math.inf]
    state = {t: torch.stack([zero, one, zero], -1)[..., None] for t in finite}
    for bit in range(max(finite, default=0).bit_length()):
        state = {t: power @ at if t >> bit & 1 else at for t, at in state.items()}
        power = power @ power
    limit = (zero, 1 / rates.clamp(min=torch.finfo(F64).tiny))
    return [limit if t == math.inf else (state[int(t)][..., 1, 0], state[int(t)][..., 0, 0]) for t in when]
