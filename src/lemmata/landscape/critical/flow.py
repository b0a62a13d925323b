"""Gradient flow followed to where it converges, and polished there: the critical point that a start belongs to.

    d theta / dt = -grad L(theta),  t -> infinity

Descent with a finite step may leave the basin of its start; the flow defines it. It is integrated by the method of
`lemmata.curvature.gradient_flow`, with a step that follows its error, over spans of time that double until the gradient
norm is below `until`, and Newton's iteration does the rest. That this was no jump to somewhere else is checked: `moved`
is how far it went, to be compared with the distances between critical points.

Cost: about sqrt(1.5 h lambda_max) gradients for a step of time h; the flow slows down near saddles and in flat valleys,
where it may take more than `max_gradients`; what has not arrived is not polished, and is called "not converged".
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.curvature.gradient_flow import gradient_flow
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_flag, require_number, require_whole
from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.judge import judge
from lemmata.landscape.critical.kinds import Flat
from lemmata.landscape.critical.kinks import refuse_kinks
from lemmata.landscape.critical.points import CriticalPoints
from lemmata.landscape.critical.search import polished, standards_of
from lemmata.landscape.critical.starts import Starts, read_starts
from lemmata.landscape.critical.walk import at_rest
from lemmata.nets.initialisations import generator_from
from lemmata.objective import Subject


@dataclass(frozen=True, eq=False)
class Flown:
    """Where M flows ended: `points`, and the way there.

    points         the ends, polished and judged: `CriticalPoints`
    times          (T,) at which the flow was looked at
    loss           (M, T), and
    gradient_norm  (M, T) there, NaN once a flow has arrived
    moved          (M,) how far polishing went from the flow's end
    gradients      evaluations, over all flows and their polishing
    """

    points: CriticalPoints
    times: Tensor
    loss: Tensor = field(repr=False)
    gradient_norm: Tensor = field(repr=False)
    moved: Tensor
    gradients: float

    def plot(self) -> Figure:
        """Draw loss and gradient norm against time, a line for each flow."""
        panels = []
        for label, values in (("loss", self.loss), ("gradient norm", self.gradient_norm)):
            rows = [(self.times[~row.isnan()].numpy(), row[~row.isnan()].numpy()) for row in values.cpu()]
            lines = [Series(label="", x=1 + t, y=y) for t, y in rows[:60]]
            panels.append(Panel(x=Axis(label="1 + time", log=True), y=Axis(label=label, log=True), series=lines))
        counts = ", ".join(f"{n} {name}" for name, n in self.points.counts.items())
        caption = f"{len(self.points)} flows ended at: {counts}. {self.gradients:.3g} gradients."
        return Figure(name="flow", title="Gradient flow to its end", caption=caption, panels=panels)


def flow(
    subject: Subject,
    starts: Starts = 1,
    *,
    until: float = 1e-6,
    tolerance: float = 1e-12,
    error: float = 1e-5,
    first: float = 1.0,
    doublings: int = 30,
    max_gradients: int = 100_000,
    spread: float = 1.0,
    flat: Flat = "degenerate",
    kinks: bool = False,
    memory: int = 2**29,
    seed: int | torch.Generator = 0,
) -> Flown:
    """Follow the flow from each start (as for `search`) until |g| <= `until`, then polish to `tolerance`.

    `error` bounds what a step may be off, relative to |theta|; the first span of time is `first`, each one after it
    twice as long, `doublings` at most. Raises `InvalidInput` as `search` does. Nothing is random but drawn starts and
    where searches for the sharpness begin.

    >>> from lemmata.landscape.critical import function
    >>> double_well = function(lambda v: (v[0] ** 2 - 1) ** 2 + v[1] ** 2, 2)
    >>> found = flow(double_well, torch.tensor([[0.1, 1.0], [-0.1, 1.0]]))
    >>> found.points.kind, found.points.theta[:, 0].round(decimals=6).tolist()
    (('minimum', 'minimum'), [1.0, -1.0])
    """
    for name, value in (("until", until), ("first", first)):
        if not require_number(value, name) > 0:
            raise InvalidInput(f"{name} = {value}; it must be above 0")
    own = Field(subject, memory=require_whole(memory, "memory"))
    refuse_kinks(own.objective, allowed=require_flag(kinks, "kinks"))
    generator = generator_from(seed)
    Y = read_starts(own, starts, spread=spread, generator=generator)
    standards = standards_of(tolerance, flat=flat, generator=generator)
    most = require_whole(max_gradients, "max_gradients")
    record = _follow(own, Y, until, Spans(error, first, require_whole(doublings, "doublings"), most))
    found = polished(own, at_rest(own, record.Y), tolerance=until, dense=standards.dense)
    points = judge(own, found, standards)
    return Flown(
        points, torch.tensor(record.times, dtype=torch.float64), torch.stack(record.loss, 1),
        torch.stack(record.norm, 1), (points.theta - record.Y).norm(dim=1), own.gradients,
    )  # fmt: skip


@dataclass(frozen=True)
class Spans:
    """How far to integrate at a time: the error of a step, the first span, how often it doubles, and the most cost."""

    error: float
    first: float
    doublings: int
    max_gradients: int


@dataclass
class _Record:
    """Where the flows are, and what was seen on the way: for each time, loss and gradient norm (M,)."""

    Y: Tensor
    times: list[float] = field(default_factory=list)
    loss: list[Tensor] = field(default_factory=list)
    norm: list[Tensor] = field(default_factory=list)

    def look(self, own: Field, t: float, rows: Tensor) -> Tensor:
        """Write down loss and gradient norm of the flows `rows` at time t; gives their gradient norms."""
        loss, g = own.value_and_gradient(self.Y[rows])
        blank = torch.full_like(self.Y[:, 0], torch.nan)
        self.times.append(t)
        self.loss.append(blank.index_copy(0, rows, loss))
        self.norm.append(blank.index_copy(0, rows, g.norm(dim=1)))
        return g.norm(dim=1)


def _follow(own: Field, Y: Tensor, until: float, spans: Spans) -> _Record:
    """Integrate those that have not arrived over spans of time that double."""
    record, going = _Record(Y.clone()), torch.arange(len(Y), device=Y.device)
    t, span, spent = 0.0, spans.first, 0.0
    norm = record.look(own, t, going)
    for _ in range(spans.doublings):
        going = going[norm > until]
        if not len(going) or spent > spans.max_gradients:
            break
        start = own.objective.tree(record.Y[going])
        try:
            some = gradient_flow(
                own.objective, [span], start=start, tolerance=spans.error,
                max_gradients=max(1, int(spans.max_gradients - spent)), memory=own.memory,
            )  # fmt: skip
        except NotConverged as short:  # where it got to is as good a place; it has not arrived
            record.Y[going] = own.objective.vector(short.best.theta) if short.best.theta else record.Y[going]
            break
        record.Y[going] = own.objective.vector(some.theta)
        own.gradients += some.gradients * len(going)
        t, span, spent = t + span, 2 * span, spent + some.gradients
        norm = record.look(own, t, going)
    return record
