"""How wrong is the gradient of the continuous adjoint equation? Measured against that of the same discrete network.

A network of N steps has one gradient, which differentiating the steps gives exactly (discretise, then optimise). The
continuous adjoint equation, integrated backwards by the same method in the same steps (optimise, then discretise),
gives another. Both approximate the gradient of the continuous problem, and their difference falls like h^q, where the
method's tableau tells q (`adjoint.rate`): its order, or one more, if field and weights are smooth within steps. At the
steps that networks have it need not be small. For methods that are symplectic and their own adjoint (Verlet, leapfrog)
there is none but rounding.
"""

from __future__ import annotations

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
from lemmata.flows.adjoint import way_of
from lemmata.flows.adjoint.rate import rate_of
from lemmata.flows.adjoint.way import Way
from lemmata.flows.field import State, as_field
from lemmata.flows.flow import Flow
from lemmata.flows.methods import Method, method_of
from lemmata.flows.required import loss_at, require_list
from lemmata.flows.state import require_state
from lemmata.given import require_callable, require_whole

RESOLVED = 1e4  # an error counts towards the rate where it is this many times the rounding of the dtype
FITTED = 3


@dataclass(frozen=True, eq=False)
class GradientAudit:
    """Relative errors |g - g_exact| / |g_exact| of another way's gradient g, S numbers of steps, W weights.

    `steps` and `h` (S,), `errors` (S, W) by the weights `names`, `total` (S,) of all weights together, `state` (S,) of
    the gradient by y0, `exact` (S,) the norms |g_exact| of all weights. `rates` (W,) and `rate` are fitted over the
    three smallest steps whose error is no rounding, that is above `rounding` (NaN where fewer than two are left),
    `order` what theory says: inf where the error is rounding at any step.
    """

    method: str
    way: str
    names: tuple[str, ...]
    steps: np.ndarray
    h: np.ndarray
    errors: np.ndarray
    total: np.ndarray
    state: np.ndarray
    exact: np.ndarray
    rates: np.ndarray
    rate: float
    order: float
    rounding: float

    def agrees(self, within: float = 0.25) -> bool:
        """Whether the rate is the theory's; where that is inf, whether the error was rounding at every step."""
        if math.isinf(self.order):
            return bool((self.total <= self.rounding).all())
        return abs(self.rate - self.order) <= within

    def plot(self) -> Figure:
        """Draw the errors against the step, with the rate that theory gives."""
        series = [Series(label=f"by {name}", x=self.h, y=self.errors[:, i]) for i, name in enumerate(self.names)]
        series = [*series, Series(label="by y0", x=self.h, y=self.state), Series(label="total", x=self.h, y=self.total)]
        if math.isfinite(self.order) and self.total[self.h.argmin()] > 0:
            line = self.total[self.h.argmin()] * (self.h / self.h.min()) ** self.order
            series.append(Series(label=f"h^{self.order:g}", x=self.h, y=line, role="theory"))
        seen = [one for one in series if (np.asarray(one.y) > 0).all()]
        panel = Panel(
            x=Axis(label="step h", log=True), y=Axis(label="relative error of the gradient", log=True), series=seen
        )
        due = "none but rounding" if math.isinf(self.order) else f"h^{self.order:g}"
        fitted = "not to be fitted" if math.isnan(self.rate) else f"h^{self.rate:.2f}"
        caption = (
            f"The gradient of backward={self.way!r} against the exact one of the same {self.method} steps: error {due} "
            f"by theory, {fitted} measured."
        )
        return Figure(name="gradient-audit", title="Gradient audit", caption=caption, panels=[panel])


def gradient_audit(
    field: object,
    y0: State,
    loss: Callable[[Any], Tensor],
    *,
    steps: Sequence[int] = (16, 32, 64, 128, 256),
    T: float | None = None,
    method: str | Method = "rk4",
    backward: str | Way = "continuous",
) -> GradientAudit:
    """Measure the error of the continuous adjoint's gradient, or another way back's, at several numbers of steps.

    `field` is a `VectorField` or a module f(t, y), `y0` a state, as `Flow` takes them; `loss` takes y(T) to a number.
    The gradients are those by the weights that require one, and by y0. With per-layer weights take multiples of the
    layers as `steps`: a step across a jump of the weights has no order. float64 is advised. Nothing of the field is
    changed. Cost: a stored and a recomputed gradient for each number of steps.

    Raises `InvalidInput` for steps that do not rise, a loss that gives no number, and weights that are all frozen.

    >>> from lemmata import flows
    >>> layers = flows.Plain(3, flows.PiecewiseLinear(5, T=2.0), dtype=torch.float64)
    >>> y0 = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> found = gradient_audit(layers, y0, lambda y: y.square().mean(), method="heun", steps=(32, 64, 128))
    >>> found.order, found.agrees()
    (3, True)
    """
    own, chosen, way = as_field(field), method_of(method), way_of(backward)
    require_callable(loss, "loss")
    counts = [require_whole(count, "steps") for count in require_list(steps, "steps", "(16, 32, 64)")]
    require_state(y0 if isinstance(y0, tuple) else Flow(own, steps=1, T=T, method=chosen).start(y0), own)
    if len(counts) < 2 or any(b <= a for a, b in pairwise(counts)):
        raise InvalidInput(f"steps = {steps!r}; give at least two numbers of steps that rise, as (16, 32, 64)")
    weights = {name: weight for name, weight in own.named_parameters() if weight.requires_grad}
    if not weights:
        raise InvalidInput(f"no weight of {type(own).__name__} requires a gradient, so there is none to audit")
    rows = []
    for count in counts:
        ways = (
            _gradient(Flow(own, steps=count, T=T, method=chosen, backward=one), y0, loss, list(weights.values()))
            for one in ("store", way)
        )
        rows.append(_compared(*ways))
    errors, norms = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    grid = Flow(own, steps=1, T=T, method=chosen).grid
    h = grid.T / np.array(counts)
    eps = max(torch.finfo(weight.dtype).eps for weight in weights.values())
    rates = [_rate(h, column, eps) for column in errors.T]
    names = tuple(name.rsplit("coefficients.", 1)[-1].removeprefix("module.") for name in weights)
    order = rate_of(chosen) if way.name == "continuous" else math.inf
    return GradientAudit(
        chosen.name, way.name, names, np.array(counts), h, errors[:, :-2], errors[:, -1], errors[:, -2], norms,
        np.array(rates[:-2]), rates[-1], order, RESOLVED * eps,
    )  # fmt: skip


def _gradient(flow: Flow, y0: State, loss: Callable[[Any], Tensor], weights: list[Tensor]) -> tuple[Tensor, ...]:
    """The gradients by the weights, and by y0 as one vector, in float64."""
    pair = isinstance(y0, tuple)
    parts = [part.detach().requires_grad_() for part in (y0 if pair else (y0,))]
    value = loss_at(loss, flow(tuple(parts) if pair else parts[0]))
    found = torch.autograd.grad(value.reshape(()), [*weights, *parts], materialize_grads=True)
    by_state = torch.cat([part.reshape(-1) for part in found[len(weights) :]])
    return tuple(one.detach().double() for one in (*found[: len(weights)], by_state))


def _compared(exact: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> tuple[list[float], float]:
    """The relative error of each, then that of all weights; and the exact norm of all weights."""
    norms = torch.stack([one.norm() for one in exact])
    differences = torch.stack([(a - b).norm() for a, b in zip(exact, other, strict=True)])
    if not bool(norms.isfinite().all() & differences.isfinite().all()):
        raise InvalidInput("a gradient is not finite; take more steps, so that each is shorter")
    whole = norms[:-1].norm()
    errors = differences / norms.clamp_min(torch.finfo(torch.float64).tiny)
    return [*errors.tolist(), float(differences[:-1].norm() / whole)], float(whole)


def _rate(h: np.ndarray, errors: np.ndarray, eps: float) -> float:
    """The slope of log error over log h at the smallest steps with an error that is no rounding."""
    seen = np.flatnonzero(errors > RESOLVED * eps)[-FITTED:]
    return float(np.polyfit(np.log(h[seen]), np.log(errors[seen]), 1)[0]) if len(seen) > 1 else math.nan
