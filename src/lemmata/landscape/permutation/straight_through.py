"""Permutations that make the midpoint of two networks good, found by gradients through the projection.

    min_pi L((theta_a + pi theta_b) / 2)

A dense copy of weights is moved by gradient steps, and at every step replaced by the nearest network that is a
permutation of b, by weight matching. The loss is taken at the midpoint with that permutation, and its gradient is
passed on to the dense copy as if there had been no projection: the straight-through estimator (algorithm 2 of
Ainsworth, Hayase and Srinivasa, 2023; Bengio, Leonard and Courville, 2013).

    dense_0 = theta_a;   pi_t = argmax_pi <dense_t, pi theta_b>;   dense_{t+1} = dense_t - Adam(grad L at the midpoint)

The first projection is weight matching itself. What is given back is the best permutation met, by the loss on all the
data, so that on these data the midpoint is never worse than that of weight matching. Cost: for each step a gradient on
its batch and a weight matching of few passes, since it goes on from the last one; a forward pass over all the data
whenever the permutation changed, if batches are smaller. Fails where the gradient is too small to make units change
places: then nothing happens, and `lr` should be larger. The estimator is biased; nothing promises descent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lemmata.batches import Data, read_batches
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.given import require_number, require_seed, require_whole
from lemmata.landscape.batch_norm import normalisations
from lemmata.landscape.permutation.matching import Matching
from lemmata.landscape.permutation.permuting import Permutations, in_types_of, state_of
from lemmata.landscape.permutation.specification import Specification, specification
from lemmata.landscape.permutation.weight_matching import weight_matching
from lemmata.modes import copied_in, mode_of
from lemmata.objective import LOSSES, Loss


@dataclass(frozen=True, eq=False)
class StraightThrough(Matching):
    """The best permutation met, and how the search went.

    `loss` (steps,) is that of the midpoint at each step, on the step's batch; `best` (steps,) the lowest on all the
    data so far, the first being that of weight matching. `objective` (steps,) is <theta_a, pi theta_b>, which is not
    what is maximised here. `passes` counts those of all projections; `converged` says that the last quarter of the
    steps did not change the permutation.
    """

    loss: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    best: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)

    def plot(self) -> Figure:
        """Draw the loss of the midpoint, and the alignment of the weights, against the step."""
        steps = np.arange(len(self.loss))
        losses = [
            Series(label="the step's batch", x=steps, y=self.loss, style="points"),
            Series(label="best so far, all data", x=steps, y=self.best),
        ]
        panels = [
            Panel(
                x=Axis(label="step"), y=Axis(label="loss at the midpoint"), series=losses,
                references=[Reference(label="weight matching", value=float(self.best[0]), role="theory")],
            ),
            Panel(
                x=Axis(label="step"), y=Axis(label="inner product, share of |A| |B|"),
                series=[Series(label="a with permuted b", x=steps, y=self.objective / self.largest)],
            ),
        ]  # fmt: skip
        caption = f"{len(steps)} steps, {self.passes} passes of the projection."
        return Figure(name="straight-through", title="Straight-through matching", caption=caption, panels=panels)


def straight_through(
    a: nn.Module | Mapping[str, Tensor],
    b: nn.Module | Mapping[str, Tensor],
    spec: Specification | None = None,
    *,
    loss: Loss = "cross_entropy",
    data: Data,
    model: nn.Module | None = None,
    steps: int = 100,
    lr: float = 1e-3,
    batch_size: int | None = None,
    seed: int | torch.Generator = 0,
) -> StraightThrough:
    """Align b with a so that the loss of (a + b) / 2 is small on the data.

    `a` and `b` are models or their states, b taken in a's types; if `a` is a state, `model` is the architecture. `spec`
    is derived from it if it is not given. `loss` is ``"cross_entropy"``, ``"mse"`` or a callable (outputs, targets) ->
    scalar, a mean over samples. `lr` is the step size of Adam, in units of a weight. Steps take all data, or batches of
    `batch_size` drawn with `seed`, which also draws the order of the projection. Batch normalisation uses the
    statistics of the batch, those that the midpoint has itself. Nothing given is changed.

    Raises `InvalidInput` for states that do not fit, a loss that is not finite, and a model with dropout and batch
    normalisation at once.

    >>> from lemmata.landscape import permutation
    >>> net, x = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(20, 5)
    >>> spec = permutation.specification(net, x)
    >>> other = permutation.permuted(spec, net, permutation.random(spec, seed=1))
    >>> found = straight_through(net, other, spec, loss="mse", data=(x, net(x)), steps=3)
    >>> bool(found.best[-1] < 1e-10)
    True
    """
    template = a if model is None and isinstance(a, nn.Module) else model
    if template is None:
        raise InvalidInput("a is a state, and the loss wants a model; give model=, of the architecture of both")
    if not callable(loss) and loss not in LOSSES:
        raise UnknownName("loss", loss, LOSSES)
    require_whole(steps, "steps")
    if not require_number(lr, "lr") > 0:
        raise InvalidInput(f"lr = {lr}: a step size is positive")
    seed = require_seed(seed)
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    midpoint = _Midpoint(template, LOSSES[loss] if isinstance(loss, str) else loss, data, batch_size, draw)
    spec = specification(template, midpoint.x[:2]) if spec is None else spec
    own = state_of(a)
    return _search(spec, own, in_types_of(own, state_of(b)), midpoint, steps=steps, lr=float(lr), draw=draw)


class _Midpoint:
    """The loss of (a + b) / 2 as a function of both: on all the data, and with its gradient on a batch."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        data: Data,
        batch_size: int | None,
        draw: torch.Generator,
    ):
        self.model = copied_in(model, mode_of(model, "train" if normalisations(model) else "eval"))
        self.names = [name for name, _ in model.named_parameters()]
        self.loss, self.draw = loss, draw
        batches = read_batches(data, None)
        self.x, self.y = (torch.cat(part) for part in zip(*batches, strict=True))
        self.batch_size = len(self.y) if batch_size is None else require_whole(batch_size, "batch_size")
        self.order = torch.empty(0, dtype=torch.long)

    def slope(self, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> tuple[float, list[Tensor]]:
        """The loss on the next batch, and its gradient by the parameters at the midpoint."""
        rows = self._next()
        middle = {name: ((a[name] + b[name]) / 2).requires_grad_() for name in self.names}
        with torch.enable_grad():
            value = self.loss(functional_call(self.model, middle, (self.x[rows],)), self.y[rows])
        number = float(value.detach())
        if not math.isfinite(number):
            raise InvalidInput(f"the loss at the midpoint is {number}; nothing can be said of the permutation")
        gradients = torch.autograd.grad(value, list(middle.values()), allow_unused=True)
        pairs = zip(gradients, middle.values(), strict=True)
        return number, [torch.zeros_like(p) if g is None else g for g, p in pairs]

    @torch.no_grad()
    def value(self, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
        """The loss on all the data, `batch_size` samples at a time."""
        middle = {name: (a[name] + b[name]) / 2 for name in self.names}
        total = 0.0
        for x, y in zip(self.x.split(self.batch_size), self.y.split(self.batch_size), strict=True):
            total += float(self.loss(functional_call(self.model, middle, (x,)), y)) * len(y)
        return total / len(self.y)

    @property
    def whole(self) -> bool:
        """Whether a batch is all the data."""
        return self.batch_size >= len(self.y)

    def _next(self) -> Tensor | slice:
        if self.whole:
            return slice(None)
        if len(self.order) < self.batch_size:
            self.order = torch.randperm(len(self.y), generator=self.draw)
        rows, self.order = self.order[: self.batch_size], self.order[self.batch_size :]
        return rows.to(self.x.device)


def _search(
    spec: Specification,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    midpoint: _Midpoint,
    *,
    steps: int,
    lr: float,
    draw: torch.Generator,
) -> StraightThrough:
    dense = {name: a[name].detach().clone() for name in midpoint.names}
    rule = torch.optim.Adam(list(dense.values()), lr=lr)
    present: Permutations = {}
    kept: Matching | None = None
    losses, best, objective, passes, changed = [], [], [], 0, 0
    for step in range(steps):
        found = weight_matching(dict(a) | dense, b, spec, start=present, seed=draw)
        new = step == 0 or any(not torch.equal(p, present[name]) for name, p in found.permutations.items())
        present, passes = found.permutations, passes + found.passes
        value, gradients = midpoint.slope(a, found.state)
        if new:
            changed, own = step, value if midpoint.whole else midpoint.value(a, found.state)
            kept = found if not best or own < best[-1] else kept
            best.append(min([own, *best[-1:]]))
        else:
            best.append(best[-1])
        losses.append(value)
        objective.append(sum(float(torch.sum(a[n] * found.state[n], dtype=torch.float64)) for n in midpoint.names))
        for tensor, gradient in zip(dense.values(), gradients, strict=True):
            tensor.grad = gradient
        rule.step()
    assert kept is not None
    norms = [sum(float(side[n].double().square().sum()) for n in midpoint.names) ** 0.5 for side in (a, b)]
    return StraightThrough(
        permutations=kept.permutations, state=kept.state, objective=np.array(objective), largest=norms[0] * norms[1],
        passes=passes, converged=changed < steps - max(1, steps // 4), spec=spec,
        loss=np.array(losses), best=np.array(best),
    )  # fmt: skip
