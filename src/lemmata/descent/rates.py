"""Proven rate, exact worst case and measured curve of methods on one problem, held against each other at every step.

A guarantee of a method is a number for each k, in units of the problem: with D = |x_0 - x*| of each start,

    of gap,      given distance:   f_k - f*  <=  b(k) L D^2
    of gradient, given gap:        |g_k|^2   <=  b(k) L (f_0 - f*)
    of gradient, given distance:   |g_k|^2   <=  b(k) L^2 D^2
    of gap,      given level:      f_k - f*  <=  b(k) L R^2,   with R^2 = 2 (f_0 - f*) / mu, so only where mu > 0

It *holds* at step k where the measured quantity, with the lower end of f*'s bracket, is at most the bound, up to
rounding. The *slack* is the bound over what was measured: how much more the worst function suffers than this one.

Cost: that of the runs, and of the exact worst cases that have no closed form, one semidefinite program each (0.02 s at
15 steps). Where L is an estimate nothing is guaranteed, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Literal, TypeGuard

import numpy as np

from lemmata.descent.method import Given, Guarantee, Measure, Method
from lemmata.descent.problems.problem import Problem
from lemmata.descent.run import Run, run_all
from lemmata.descent.schedules.length import whole
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.figures.figure import Role
from lemmata.figures.style import thinned

LABEL = {"gap": "objective gap f − f*", "gradient": "squared gradient norm"}
EXACT_AT = (1, 2, 3, 5, 7, 10, 15)  # where a worst case without a closed form is computed


@dataclass(frozen=True, eq=False, kw_only=True)
class Rate:
    """One method: what is proven, what the worst function does, and what was measured; arrays are (S, n + 1).

    measured   objective gap or squared gradient norm, whichever the guarantee is of
    bound      what is proven of it, infinite where nothing is
    worst      what the worst function for this many steps does, NaN where that was not computed
    holds      whether the bound is kept, (n + 1,); True where nothing is proven
    """

    run: Run = field(repr=False)
    of: Measure
    given: Given
    measured: np.ndarray = field(repr=False)
    bound: np.ndarray = field(repr=False)
    worst: np.ndarray = field(repr=False)
    rounding: float

    @property
    def name(self) -> str:
        """The method's."""
        return self.run.method.name

    @property
    def n(self) -> int:
        """The number of steps."""
        return self.run.n

    @property
    def holds(self) -> np.ndarray:
        """Whether every start keeps the proven bound at each step, (n + 1,)."""
        return np.all(self.measured <= self.bound * (1 + 1e-12) + self.rounding, axis=0)

    @property
    def slack(self) -> np.ndarray:
        """Bound over measured, (S, n + 1): 1 on the worst function; infinite where nothing is proven."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.bound / np.maximum(self.measured, self.rounding)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rates:
    """Several methods on one problem, one `Rate` each, by name or in order; `str` is a table of the last step.

    `guaranteed` is False where L is an estimate: then a bound that holds is no theorem's doing.
    """

    problem: Problem = field(repr=False)
    rates: tuple[Rate, ...]

    def __getitem__(self, name: str) -> Rate:
        for rate in self.rates:
            if rate.name == name:
                return rate
        raise UnknownName("method", name, [rate.name for rate in self.rates])

    def __iter__(self) -> Iterator[Rate]:
        return iter(self.rates)

    @property
    def guaranteed(self) -> bool:
        """Whether L is proven, so that the bounds are theorems about this problem."""
        return self.problem.L_kind != "estimate"

    @property
    def holds(self) -> bool:
        """Whether every proven bound is kept at every step."""
        return all(bool(rate.holds.all()) for rate in self.rates)

    def __str__(self) -> str:
        head = f"{'method':32} {'steps':>5} {'measured':>10} {'bound':>10} {'slack':>7}  holds"
        rows = []
        for rate in self.rates:
            measured, bound = float(rate.measured[:, -1].max()), float(rate.bound[:, -1].max())
            proven = np.isfinite(bound)
            rows.append(
                f"{rate.name:32.32} {rate.n:5d} {measured:10.3e} "
                + (f"{bound:10.3e} {float(rate.slack[:, -1].min()):7.3g}" if proven else f"{'none':>10} {'':7}")
                + f"  {_kept(rate)}"
            )
        note = "" if self.guaranteed else "\nL is an estimate: nothing is guaranteed."
        return f"{self.problem.name}\n" + "\n".join([head, *rows]) + note

    def plot(self, methods: Sequence[str] | None = None) -> Figure:
        """Draw a panel for each method (at most five, or those named), and the measured curves of all in the last.

        The best method by its last value is drawn in every panel, for comparison.
        """
        shown = [self[name] for name in methods] if methods is not None else list(self.rates[:5])
        best = min(self.rates, key=lambda rate: float(np.median(rate.run.gap[:, -1])))
        panels = [_panel(rate, best) for rate in shown]
        steps = Axis(label="step", log=True)
        series = [_curve(rate.name, rate.run.gap) for rate in self.rates]
        panels.append(Panel(x=steps, y=Axis(label=LABEL["gap"], log=True), series=series, title="all, measured"))
        caption = (
            "What is proven, at the steps where that is lower than at any before; the exact worst case, of the worst "
            "function for just so many steps; and what was measured: of many starts the median, and the range as a "
            "band."
        )
        return Figure(name="rates", title=f"Rates on {self.problem.name}", caption=caption, panels=panels)


def compare(
    methods: Sequence[Method],
    problem: Problem,
    n: int | None = None,
    *,
    exact: Sequence[int] | Literal["auto", "none"] = "auto",
) -> Rates:
    """Run the methods for n steps each (its own length where that is less) and hold each against what is proven of it.

    `exact` says after how many steps the exact worst case is wanted where no closed form is known: "auto" takes a few
    up to 15, "none" none; one that is not found is left out. Nothing is random. Raises `InvalidInput` as `run` does,
    for what is no list of methods, and for two methods of one name.

    >>> from lemmata.descent import Guarantee, Schedule, problems
    >>> proven = Guarantee("gap", "distance", lambda k: 1 / (4 * k + 2), where="Drori and Teboulle (2014)", tight=True)
    >>> gd = Schedule("constant", [1.0], cyclic=True, guarantee=proven)
    >>> found = compare([gd], problems.huber([1.0] * 10), 10)
    >>> found.holds, round(float(found["constant"].slack[0, 10]), 9)
    (True, 1.0)
    """
    methods = list(methods) if isinstance(methods, Iterable) and not isinstance(methods, str) else methods
    _checked(methods, problem, exact)
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"two methods are called {twice!r}; give each a name of its own")
    runs = run_all(methods, problem, n)
    return Rates(problem=problem, rates=tuple(_rate(run, exact) for run in runs))


def _kept(rate: Rate) -> str:
    """What the table says of a bound; "-" where nothing is proven."""
    if not np.isfinite(rate.bound).any():
        return "-"
    return "yes" if rate.holds.all() else f"NO: step {int(np.argmin(rate.holds))}"


def _checked(methods: Any, problem: Any, exact: Any) -> None:
    """Refuse what is no list of methods on a problem."""
    if isinstance(methods, Method | str) or not isinstance(methods, Iterable):
        raise InvalidInput(f"the methods are {methods!r:.80}; give a list, such as [descent.nesterov()]")
    for method in methods:
        if not isinstance(method, Method):
            raise InvalidInput(f"{method!r:.80} is no Method; make one, such as descent.nesterov()")
    if not isinstance(problem, Problem):
        raise InvalidInput(f"{problem!r:.80} is no Problem; make one by descent.problems or descent.problem")
    if isinstance(exact, str) and exact not in ("auto", "none"):
        raise UnknownName("choice of exact", exact, ("auto", "none"))
    if not isinstance(exact, Iterable):
        raise InvalidInput(f"exact = {exact!r:.80}; give numbers of steps, [5, 10], or 'auto' or 'none'")
    for k in () if isinstance(exact, str) else exact:
        whole(k, "a number of steps in exact")


def proven(guarantee: Guarantee | None, run: Run) -> np.ndarray:
    """The guarantee in the units of the run's problem, (S, n + 1); infinite where nothing is proven, as at step 0."""
    problem = run.problem
    found = np.full(run.value.shape, np.inf)
    if guarantee is None or guarantee.mu > problem.mu / problem.L * (1 + 1e-12):
        return found
    unit = _unit(guarantee.of, guarantee.given, run)
    steps = range(1, run.n + 1)
    if guarantee.given == "level" and _knows_starts(guarantee.bound):
        gaps = run.value[:, 0] - run.problem.minimum.low
        starts = np.where(np.isfinite(unit), gaps / unit, 0.5)  # where this run starts says more than the worst start
        found[:, 1:] = [[guarantee.bound(k, start) for k in steps] for start in starts.tolist()]
    else:
        found[:, 1:] = [guarantee.bound(k) for k in steps]
    return found * unit[:, None]


def _knows_starts(bound: Callable[..., float]) -> TypeGuard[Callable[[int, float], float]]:
    """Whether a bound takes, besides the number of steps, where the run started: (f_0 - f*)/(L R^2)."""
    return len(signature(bound).parameters) > 1


def _unit(of: Measure, given: Given, run: Run) -> np.ndarray:
    """What a bound is multiplied with, for each start: (S,)."""
    L, mu = run.problem.L, run.problem.mu
    gap = run.value[:, 0] - run.problem.minimum.low
    if given == "gap":
        return L * gap
    if given == "level":
        return L * 2 * gap / mu if mu else np.full_like(gap, np.inf)
    D = run.problem.D.reshape(-1).double().cpu().numpy() + run.problem.radius
    return (L * D) ** 2 if of == "gradient" else L * D**2


def _rate(run: Run, exact: Sequence[int] | Literal["auto", "none"]) -> Rate:
    guarantee = run.method.guarantee
    of: Measure = guarantee.of if guarantee else "gap"
    given: Given = guarantee.given if guarantee else "distance"
    bound = proven(guarantee, run)
    if of == "gap":
        measured, rounding = run.value - run.problem.minimum.low, run.rounding
    else:
        measured, rounding = run.gradient_norm**2, run.rounding * run.problem.L
    tight = guarantee is not None and guarantee.tight
    known = range(run.n + 1) if tight and run.method.length is None else [run.n] if tight else []
    at = EXACT_AT if exact == "auto" else () if exact == "none" else exact
    worst = _worst(run, of, given, [k for k in at if 1 <= k <= run.n and k not in known])
    for k in known:
        worst[:, k] = np.where(np.isfinite(bound[:, k]), bound[:, k], np.nan)
    return Rate(run=run, of=of, given=given, measured=measured, bound=bound, worst=worst, rounding=rounding)


def _worst(run: Run, of: Measure, given: Given, at: Sequence[int]) -> np.ndarray:
    """Exact worst cases over smooth convex functions, in the units of the problem: (S, n + 1), NaN elsewhere."""
    found = np.full((len(run.value), run.n + 1), np.nan)
    if given == "level" or not at or getattr(run.method, "adaptive", False):
        return found
    from lemmata.descent.worst_case import worst_case

    unit = _unit(of, given, run)
    for k in at:
        with suppress(NotConverged):  # rounding hides it, as where the steps diverge
            found[:, k] = worst_case(run.method.matrix(k), of=of, given=given).value * unit
    return found


def _panel(rate: Rate, best: Rate) -> Panel:
    """What is proven, the worst case and what was measured of one method, with the best method beside it."""
    steps = np.arange(rate.n + 1)
    series = [_curve(rate.name, rate.measured)]
    if best is not rate and rate.of == "gap":
        series.append(_curve(best.name, best.run.gap))
    drawn_as: tuple[tuple[str, np.ndarray, Role], ...] = (
        ("proven bound", rate.bound, "theory"),
        ("exact worst case", rate.worst, "control"),
    )
    for label, values, role in drawn_as:
        drawn = np.median(values, 0)
        kept = _lowest_so_far(drawn) if role == "theory" else np.flatnonzero(np.isfinite(drawn))
        kept = kept[kept > 0]
        if len(kept):
            every = len(kept) == rate.n and role == "theory"
            kept = kept if every else kept[thinned(kept.astype(float), log=True, most=16)]
            style = "line" if every else "points"
            series.append(Series(label=label, x=steps[kept], y=drawn[kept], role=role, style=style))
    y = Axis(label=LABEL[rate.of], log=True)
    return Panel(x=Axis(label="step", log=True), y=y, series=series, title=rate.name)


def _lowest_so_far(bound: np.ndarray) -> np.ndarray:
    """The steps at which the bound is lower than at any before; between them a schedule promises nothing new."""
    before = np.minimum.accumulate(np.concatenate([[np.inf], bound[:-1]]))
    return np.flatnonzero(bound < before)


def _curve(name: str, values: np.ndarray) -> Series:
    """The median over starts from step 1 on, and their range; what is not positive cannot be drawn."""
    drawn = np.where(values[:, 1:] > 0, values[:, 1:], np.nan)
    kept = np.isfinite(drawn).all(0)
    steps, drawn = np.arange(1, values.shape[1])[kept], drawn[:, kept]
    if not len(steps):
        steps, drawn = np.array([1]), np.full((1, 1), np.nan)
    low, high = (drawn.min(0), drawn.max(0)) if len(drawn) > 1 else (None, None)
    return Series(label=name, x=steps, y=np.median(drawn, 0), low=low, high=high)
