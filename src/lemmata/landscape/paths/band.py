"""Minimum-energy paths: the nudged elastic band, and its automatic form that adds pivots where the loss is high.

A path whose every point is a minimum across the path passes over a saddle at its highest point, the lowest barrier
between its ends nearby (Draxler, Veschgini, Salmhofer and Hamprecht, 2018, after Jonsson et al., 1998). The band begins
as the straight line and descends by the rule of `pivots`. A round ends after some epochs; then new pivots are set into
the segments in which the loss between the pivots lies highest above the chord of their losses, and the next begins.

Cost: a step takes the gradients of N networks a band, N growing from round to round; a round is closed by evaluating
the segments. Compare `curve`, whose step is one gradient. Fails where pivots are few: what lies between them is a
straight line, which the loss on it (`path`) shows and the losses of the pivots do not. What is found is a path near the
start, not the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.batches import Data
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_flag, require_number, require_whole
from lemmata.landscape.paths.curve import Curve, one_seed, samples_of
from lemmata.landscape.paths.ends import Ends
from lemmata.landscape.paths.path import Path
from lemmata.landscape.paths.pivots import Pivots
from lemmata.landscape.samples import Interrupted
from lemmata.landscape.states import Place, State
from lemmata.objective import Loss
from lemmata.training.batches import Batches
from lemmata.training.losses import check_loss
from lemmata.training.optimisers import Adam, Optimiser
from lemmata.training.perceptron import assemble
from lemmata.training.schedules import Factor, Schedule, bound

WITHIN = 3  # points of a segment that are evaluated, its pivots apart


@dataclass(frozen=True, eq=False)
class Band:
    """An elastic band: a polygonal chain of pivots, and the loss on it.

    `curve` is the chain, t counting pivots evenly; `path` the loss at the pivots and at three points of each segment,
    on the data of the training; `pivots` (N + 2,) says which of the path's points are pivots. `history` has the mean
    loss of the pivots in each epoch. `cost` counts gradients of the whole data set.
    """

    curve: Curve = field(repr=False)
    path: Path = field(repr=False)
    pivots: np.ndarray = field(repr=False)
    history: np.ndarray = field(repr=False)
    cost: float

    @property
    def saddle(self) -> float:
        """The largest of the losses evaluated, between pivots too; between those points it may be higher."""
        return float(self.path.loss.max())

    @property
    def saddle_at(self) -> float:
        """The t of the largest loss."""
        return float(self.path.t[self.path.loss.argmax()])

    def at(self, t: float) -> State:
        """The state at t in [0, 1]."""
        return self.curve.at(t)

    def plot(self) -> Figure:
        """Draw the loss at the pivots and between them."""
        loss, t = self.path.loss, self.path.t
        series = [
            Series(label="loss", x=t, y=loss),
            Series(label="pivots", x=t[self.pivots], y=loss[self.pivots], style="points"),
        ]
        panel = Panel(x=Axis(label="t, in pivots"), y=Axis(label="loss"), series=series)
        caption = f"{len(self.pivots)} pivots, ends included. Saddle {self.saddle:.4g} at t = {self.saddle_at:.3g}."
        return Figure(name="band", title="Loss along an elastic band", caption=caption, panels=[panel])


def nudged_elastic_band(
    model: nn.Module, a: Place, b: Place, *, pivots: int = 7, seed: int | torch.Generator = 0, **options: Any
) -> Band:
    """Relax one band from `a` to `b`, models or state dicts; options and defaults are those of `elastic_bands`.

    >>> from lemmata.training import GD
    >>> model, x = nn.Linear(1, 2, bias=False), torch.ones(1, 1)  # its outputs are its two weights
    >>> ring = lambda z, y: (z.square().sum(1) - 1).square().mean()  # the minima are a circle
    >>> a, b = ({"weight": torch.tensor([[s], [0.1]])} for s in (-1.0, 1.0))
    >>> rule = GD(lr=0.05, momentum=0.5)
    >>> found = nudged_elastic_band(model, a, b, loss=ring, data=(x, x), epochs=200, batch_size=None, optimiser=rule)
    >>> bool(found.path.loss[found.pivots].max() < 1e-3)
    True
    """
    return elastic_bands(model, [a], [b], pivots=pivots, seeds=[one_seed(seed)], **options)[0]


def elastic_bands(
    model: nn.Module,
    starts: Sequence[Place],
    ends: Sequence[Place],
    *,
    pivots: int = 7,
    rounds: int = 1,
    insert: int = 0,
    spring: float = math.inf,
    climb: bool = False,
    loss: Loss = "cross_entropy",
    data: Data,
    own_data: bool = False,
    epochs: int = 20,
    batch_size: int | None = 128,
    optimiser: Optimiser | None = None,
    schedule: Schedule | Factor | None = None,
    seeds: Sequence[int] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Band]:
    """Relax M bands at once, from starts[i] to ends[i].

    Each begins as `pivots` points evenly spaced on the straight line and is relaxed for `rounds` rounds of `epochs`
    epochs; before each round but the first `insert` pivots are added to every band, in the middle of the segments whose
    loss is highest above its chord (AutoNEB). `spring` is the constant k, by default infinite: pivots are spread evenly
    after each step. With `climb` the highest pivot climbs in the last round. `data`, `own_data`, `batch_size`,
    `schedule` and `seeds` are those of `curves`; `optimiser` is by default Adam with step size 0.001, and begins anew
    each round, as `schedule` does.

    Layers of batch normalisation use the batch's statistics in training, and statistics recomputed on the path. Ctrl-C
    raises `Interrupted` whose `partial` is the list of bands so far. `progress(epoch, epochs)` counts those of all
    rounds. Randomness: the orders of the samples, from each band's own seed.
    """
    check_loss(loss)
    count, total = require_whole(pivots, "pivots"), require_whole(rounds, "rounds") * require_whole(epochs, "epochs")
    insert, climb = require_whole(insert, "insert", least=0), require_flag(climb, "climb")
    if not require_number(spring, "spring") >= 0:
        raise InvalidInput(f"spring = {spring}; give a constant of at least 0, or infinity")
    if insert > count + 1:
        raise InvalidInput(f"insert = {insert} pivots into {count + 1} segments at once; insert at most one in each")
    between = Ends.of(model, starts, ends)
    seeds = list(range(len(between)) if seeds is None else seeds)
    if len(seeds) != len(between):
        raise InvalidInput(f"{len(seeds)} seeds for {len(between)} bands; give one seed a band")
    models = between.models
    samples = samples_of(data, len(between), own_data=own_data)
    samples.check(assemble(models, loss), loss)
    each = [(samples.x[i], samples.y[i]) if own_data else (samples.x, samples.y) for i in range(len(between))]
    report = (lambda epoch: progress(epoch, total)) if progress is not None else (lambda _: None)
    relaxing = _Relaxing(between, each, loss, Batches(samples, batch_size, seeds), spring)
    control = between.straight(count)
    moving = None
    try:
        for number in range(rounds):
            if number and insert:
                control = relaxing.inserted(control, insert)
            moving = Pivots(models, control, loss=loss, end_losses=relaxing.end_losses, spring=spring)
            moving.climbing = climb and number == rounds - 1
            relaxing.round(moving, optimiser or Adam(lr=1e-3), schedule, epochs, report)
            control = moving.control()
    except KeyboardInterrupt as stop:
        raise Interrupted(relaxing.bands(control if moving is None else moving.control())) from stop
    return relaxing.bands(control)


class _Relaxing:
    """What the rounds of a relaxation share: the data, the ends' losses, and what it cost."""

    def __init__(self, ends: Ends, data: list[tuple[Tensor, Tensor]], loss: Loss, batches: Batches, spring: float):
        self.ends, self.data, self.loss, self.batches, self.spring = ends, data, loss, batches, spring
        self.live = torch.arange(len(ends), device=batches.samples.x.device)
        self.history: list[Tensor] = []
        self.cost = 0.0
        losses = [[p.loss[0], p.loss[-1]] for p in self._paths(ends.straight(1), [0.0, 1.0])]
        self.end_losses = torch.tensor(np.array(losses))

    @torch.enable_grad()
    def round(
        self, moving: Pivots, optimiser: Optimiser, schedule: Schedule | Factor | None, epochs: int,
        report: Callable[[int], object],
    ) -> None:  # fmt: skip
        """Relax for some epochs."""
        rule, steps = optimiser.start(moving), self.batches.steps_per_epoch
        factor = bound(schedule, steps, epochs)
        for epoch in range(epochs):
            mean, n = torch.zeros(len(self.ends), dtype=torch.float64), self.batches.samples.n
            for step, (x, y) in enumerate(self.batches.epoch(self.live)):
                losses = rule.step(moving, x, y, shared=self.batches.shared, factor=factor(epoch * steps + step))
                mean += losses.double().cpu() * (y.shape[1] / n)
                if math.isinf(self.spring):
                    moving.spread()
            self.history.append(mean)
            self.cost += moving.inner
            report(len(self.history))

    def inserted(self, control: State, insert: int) -> State:
        """The points with `insert` more in each band, amid the segments with the highest loss above their chord."""
        points = next(iter(control.values())).shape[1]
        t = _grid(points)
        rows = []
        for path in self._paths(control, t):
            loss = path.loss[:-1].reshape(points - 1, WITHIN + 1)
            last = path.loss[:: WITHIN + 1][1:, None]
            share = np.arange(WITHIN + 1) / (WITHIN + 1)
            excess = (loss - (1 - share) * loss[:, :1] - share * last).max(1)
            chosen = np.sort(np.argsort(-excess, kind="stable")[:insert])
            rows.append(np.sort(np.concatenate([np.arange(points), chosen + 0.5])))
        place = torch.tensor(np.array(rows))  # (M, points + insert), in segments
        low = place.floor().long()
        high = place.ceil().long()
        index = torch.arange(len(place))[:, None]
        return {name: (p[index, low] + p[index, high]) / 2 for name, p in control.items()}

    def bands(self, control: State) -> list[Band]:
        """The bands with these points."""
        points = next(iter(control.values())).shape[1]
        history = torch.stack(self.history, 1).numpy() if self.history else np.zeros((len(self.ends), 0))
        paths = self._paths(control, _grid(points))
        pivots = np.arange(points) * (WITHIN + 1)
        return [
            Band(curve, path, pivots, own, self.cost)
            for curve, path, own in zip(self._curves(control), paths, history, strict=True)
        ]

    def _curves(self, control: State) -> list[Curve]:
        whole = self.ends.completed(control)
        return [
            Curve(
                "polygon", {name: tensor[i].clone() for name, tensor in whole.items()}, self.ends.template, self.loss,
                self.data[i], np.zeros(0), self.cost,
            )
            for i in range(len(self.ends))
        ]  # fmt: skip

    def _paths(self, control: State, t: Any) -> list[Path]:
        paths = [curve.path(t) for curve in self._curves(control)]
        self.cost += paths[0].cost
        return paths


def _grid(points: int) -> np.ndarray:
    return np.linspace(0.0, 1.0, (points - 1) * (WITHIN + 1) + 1)
