"""Certificates by linear bounds: the largest radius found at which no other logit can be the largest.

For each image the margin bound of its own class is computed at growing radii, and the largest at which all margins are
proven positive is the certificate: nothing is extrapolated, and no rounding enters it. The radius is bracketed by
doubling and found by bisection, all images that are not finished in one batch.
Cost: about log2(1 / tolerance) + 4 bounds an image, each as `margin_bounds` says; a table of R radii at most R.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_number
from lemmata.robustness.certificates.certificates import ABSTAIN, Certificates
from lemmata.robustness.labels import require_labels
from lemmata.robustness.linear_bounds.ball import Ball
from lemmata.robustness.linear_bounds.bounds import BUDGET, METHODS, Clip, graph_margins, prepared
from lemmata.robustness.linear_bounds.rounding import plain_products

FIRST = {"linf": 1 / 255, "l2": 0.1, "l1": 0.5}  # radii from which the doubling starts
DOUBLINGS = 40
Proves = Callable[[Tensor, Tensor], Tensor]  # images (m,), radii (m,) -> (m,) bool


def certify_by_bounds(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None = None,
    *,
    norm: str = "linf",
    method: str = "crown",
    radii: Sequence[float] | Tensor | None = None,
    tolerance: float = 0.01,
    clip: Clip = (0.0, 1.0),
    dtype: torch.dtype = torch.float64,
    budget: int = BUDGET,
) -> Certificates:
    """Certify images x (N, ...) in ``"linf"``, ``"l2"`` or ``"l1"``: no input within the radius changes the class.

    `y` (N,) are the true classes, if known. `method` is one of `margin_bounds`. Without `radii` each image's radius is
    found to the relative `tolerance`; with them, in whatever order, only these are tried, from the smallest on, as far
    as they are proven. Certificates hold for every input, with ``alpha`` 0; `clip` is the range of inputs (a radius
    says nothing of inputs out of it). An image with two logits that rounding cannot tell apart is abstained.

    Nothing is random. Raises as `interval_bounds`, and `InvalidInput` for radii that are not positive and finite or are
    named twice, labels that do not fit, a model of one logit, and NaN logits.

    >>> model = nn.Linear(1, 2, bias=False)
    >>> model.weight.data = torch.tensor([[1.0], [-1.0]])
    >>> found = certify_by_bounds(model, torch.tensor([[0.5]]), clip=(-1, 1), tolerance=1e-3)
    >>> found.prediction, 0.499 < found.radius.item() < 0.5
    (tensor([0]), True)
    """
    table = _checked(radii, tolerance)
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    graph, ball = prepared(model, x, 0.0, norm=norm, clip=clip, dtype=dtype, method=method)
    label = None if y is None else require_labels(y, len(x), graph.outputs)
    seconds = torch.zeros(len(x), dtype=torch.float64)

    def proves(images: Tensor, eps: Tensor) -> Tensor:
        start = time.perf_counter()
        at = images.to(x.device)
        cut = Ball.of(x[at], eps, norm, clip, dtype)
        margins = graph_margins(graph, cut, prediction[at], method, budget).scatter(1, prediction[at, None], 1.0)
        seconds[images] += (time.perf_counter() - start) / max(1, len(images))
        return (margins > 0).all(1).cpu()

    with torch.inference_mode(False), torch.no_grad(), plain_products(dtype):
        logits = graph(ball.x)
        if not logits.isfinite().all():
            raise InvalidInput("the model gives NaN or infinite logits; check its weights and the images")
        prediction = logits.argmax(1)
        sure = proves(torch.arange(len(x)), torch.zeros(len(x), dtype=dtype))
        if table is not None:
            radius = _along(proves, sure, table)
        else:
            radius = _bisected(proves, sure, FIRST[norm], tolerance, _reach(x, norm, clip))
    return Certificates(
        torch.where(sure, prediction.cpu(), ABSTAIN), radius.double(), label=label,
        seconds=seconds, radii=table, norm=norm, alpha=0.0, name=f"classifier by {method} bounds",
    )  # fmt: skip


def _checked(radii: Sequence[float] | Tensor | None, tolerance: float) -> Tensor | None:
    if not 0 < require_number(tolerance, "tolerance") < 1:
        raise InvalidInput(f"tolerance {tolerance} is not between 0 and 1; it is relative to the radius, take 0.01")
    if radii is None:
        return None
    if not isinstance(radii, Tensor) and (isinstance(radii, str) or not isinstance(radii, Iterable)):
        raise InvalidInput(f"radii = {radii!r}; give a sequence of positive numbers, such as [0.01, 0.02]")
    table = torch.tensor([require_number(radius, "a radius") for radius in radii], dtype=torch.float64)
    if not len(table) or not bool((table > 0).all()) or not bool(table.isfinite().all()):
        raise InvalidInput(f"radii = {radii!r}; give positive finite numbers, one at least")
    if len(table.unique()) < len(table):
        raise InvalidInput(f"radii = {radii!r} names a radius twice; give each once")
    return table.sort().values


def _along(proves: Proves, sure: Tensor, table: Tensor) -> Tensor:
    """The largest radius of the table up to which all are proven."""
    radius = torch.zeros(len(sure), dtype=torch.float64)
    live = sure.nonzero()[:, 0]
    for r in table:
        if len(live):
            live = live[proves(live, r.expand(len(live)))]
            radius[live] = r
    return radius


def _reach(x: Tensor, norm: str, clip: Clip) -> float:
    """The radius beyond which a ball holds all inputs in range."""
    if clip is None:
        return math.inf
    n = x[0].numel()
    return (clip[1] - clip[0]) * {"linf": 1.0, "l2": math.sqrt(n), "l1": float(n)}[norm]


def _bisected(proves: Proves, sure: Tensor, first: float, tolerance: float, reach: float) -> Tensor:
    """The largest radius that was proven, with one that was not within the tolerance above it.

    A ball of radius `reach` or more holds all inputs, so that the search ends there.
    """
    low = torch.zeros(len(sure), dtype=torch.float64)
    high = torch.full_like(low, torch.inf)
    guess = torch.full_like(low, first)
    live = sure.nonzero()[:, 0]
    for _ in range(2 * DOUBLINGS):
        if not len(live):
            break
        proven = proves(live, guess[live])
        low[live] = torch.where(proven, guess[live], low[live])
        high[live] = torch.where(proven, high[live], guess[live])
        open_above = high[live].isinf()
        unsettled = open_above | (high[live] - low[live] > tolerance * high[live])
        live = live[unsettled & (low[live] < min(reach, first * 2.0**DOUBLINGS))]
        up, down = high[live].isinf(), low[live] == 0
        middle = (low[live] * high[live]).sqrt()
        guess[live] = torch.where(up, 2 * low[live], torch.where(down, high[live] / 4, middle))
        live = live[guess[live] > first * 2.0**-DOUBLINGS]
    return low
