"""What a call would have cost, had it taken its networks one after the other: every stack of them cut to single ones.

Inside ``with one_at_a_time() as meter`` the functions that work on stacks of networks are watched, wherever in the
package they are called from. Each call is run as it is, for its answer; then some of its networks are run alone by the
same function, at least two, spread over the stack, and more while they have taken less than a quarter of the stack's
time; and these once more as modules under autograd (`plain_network`), where the package writes the chain rule
out. `Meter.seconds` is the time of the whole without the stacks' and the samples' own, plus the mean of the samples
times the number of networks. Of a function that has been called often the ratio found so far stands for further calls.

Nothing of the package is changed but the names by which functions are found, and those are put back.
"""

import copy
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from statistics import mean
from typing import Any

import torch
from torch import Tensor

import machine
from lemmata.curvature.sharpness_probe import SharpnessProbe, SharpnessTracker
from lemmata.landscape import critical, teacher_student
from lemmata.pruning.setting import Setting
from lemmata.studies import _belkin_2019_nested, _jiang_2020_ranks, _simsek_2021_flow
from lemmata.training.loop import train
from lemmata.training.perceptron import assemble
from lemmata.training.probes import Probe, Samples, WeightProbe
from plain_network import assembler

Arguments = dict[str, Any]
Seconds = tuple[float, float, float]  # as declared, one network at a time, one plain network at a time
LEAST, SHARE = 2, 0.25  # networks of a stack that are run alone, and the time they may take in units of the stack's
OFTEN = 20  # calls of one function of which samples are taken
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Stack:
    """A call that has been run for its answer, and how each of its networks is run alone."""

    answer: Any
    count: int
    alone: Callable[[int], Callable[[], object]] = field(repr=False)


@dataclass
class Meter:
    """What has been seen: seconds in stacks, in samples of them, and what all would take one by one and plainly."""

    began: float
    together: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    alone: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    plain: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    calls: Counter[str] = field(default_factory=Counter)
    sampling: float = 0.0
    assemblies: int = field(default_factory=lambda: assembler.calls)  # before this
    networks: int = 0
    sampled: int = 0
    busy: bool = False

    @property
    def assembled(self) -> bool:
        """Whether any network was assembled."""
        return assembler.calls > self.assemblies

    def seconds(self) -> Seconds:
        """Seconds since the beginning: as it was, one network at a time, and plainly; the samples' own are left out."""
        own = machine.clock() - self.began - self.sampling
        rest = own - sum(self.together.values())
        return own, rest + sum(self.alone.values()), rest + sum(self.plain.values())

    def run(self, name: str, call: Callable[[], Stack | None], plain: Callable[[], Any]) -> Any:
        """Run a call, and measure what its networks take alone if it is a stack that no other stack holds."""
        if self.busy:
            return plain()
        self.busy = True
        try:
            start = machine.clock()
            stack = call()
            seconds = machine.clock() - start
            if stack is None:
                self.busy = False
                return plain()
            self._weigh(name, stack, seconds)
            return stack.answer
        finally:
            self.busy = False

    def _weigh(self, name: str, stack: Stack, seconds: float) -> None:
        """Enter a stack that took so many seconds."""
        start, often = machine.clock(), self.calls[name] >= OFTEN and self.together[name] > 0
        singles = [] if often else _singles(stack, SHARE * seconds)
        for side, own in zip(
            (self.alone, self.plain), zip(*singles, strict=True) if singles else ((), ()), strict=True
        ):
            side[name] += mean(own) * stack.count if own else seconds * side[name] / self.together[name]
        self.calls[name] += 1
        self.together[name] += seconds
        self.networks, self.sampled = self.networks + stack.count, self.sampled + len(singles)
        self.sampling += machine.clock() - start


@contextmanager
def one_at_a_time() -> Iterator[Meter]:
    """Watch the functions of `CUTS`, and what assembles networks."""
    meter = Meter(machine.clock())
    watched = {function: _watching(meter, function, cut) for function, cut in CUTS.items()} | {assemble: assembler}
    try:
        for function, watching in watched.items():
            _exchange(function, watching)
        yield meter
    finally:
        for function, watching in watched.items():
            _exchange(watching, function)


def _singles(stack: Stack, most: float) -> list[tuple[float, float]]:
    """Seconds of some networks, alone and plain, in an order that is spread over the stack however soon it ends."""
    places, found = (
        [int(stack.count * ((k + 0.5) * GOLDEN % 1)) for k in range(stack.count)],
        list[tuple[float, float]](),
    )
    for place in dict.fromkeys(places):
        if len(found) >= LEAST and sum(alone for alone, _ in found) > most:
            break
        found.append(alone_and_plain(lambda place=place: stack.alone(place)))
    return found


def alone_and_plain(call: Callable[[], Callable[[], object]]) -> tuple[float, float]:
    """Seconds of what `call` makes, and of another with plain networks if it assembles any."""
    before = assembler.calls
    alone = _timed(call())
    if assembler.calls == before:
        return alone, alone
    with assembler.plainly():
        return alone, _timed(call())


def _timed(call: Callable[[], object]) -> float:
    """Processor time of a call."""
    start = machine.clock()
    call()
    return machine.clock() - start


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__name__}"


def _watching(meter: Meter, function: Callable[..., Any], cut: Callable[..., Stack | None]) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def watching(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        return meter.run(
            _name(function), lambda: cut(function, dict(given.arguments)), lambda: function(*args, **kwargs)
        )

    return watching


def _exchange(old: Callable[..., Any], new: Callable[..., Any]) -> None:
    """Let every name of the package, or of the class that holds it, that stands for one function stand for another."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("lemmata")]
    for holder in [*modules, *HOLDERS]:
        for name in [name for name, value in vars(holder).items() if value is old]:
            setattr(holder, name, new)


def _training(function: Callable[..., Any], a: Arguments) -> Stack | None:
    """`training.train`: one model, with its own samples, seed, step size, probes and labels."""
    models, relabel, probes = list(a["models"]), a["relabel"], a["probes"] or {}
    count, labels = len(models), dict[int, Tensor]()
    if count == 1:
        return None
    if relabel is not None:
        a = {**a, "relabel": lambda epoch: labels.setdefault(epoch, relabel(epoch).clone())}
    seeds = list(range(count) if a["seeds"] is None else a["seeds"])
    fresh = {name: copy.deepcopy(p.tracker) for name, p in probes.items() if isinstance(p, SharpnessProbe)}

    def alone(i: int) -> Callable[[], object]:
        own = {**a, "models": [models[i]], "seeds": [seeds[i]], "progress": None}
        own["x"], own["y"] = _samples(a["x"], a["y"], i, count)
        own |= {name: _own(a[name], i, count) for name in ("optimiser", "recipe")}
        if relabel is not None:
            own["relabel"] = lambda epoch: _row(labels[min(epoch, max(labels))], i)
        own["probes"] = {name: _probe(probe, fresh.get(name), i, count) for name, probe in probes.items()}
        return lambda: function(**own)

    answer = function(**a)
    return Stack(answer, count, alone)


def _probe(probe: Probe | WeightProbe, fresh: SharpnessTracker | None, i: int, count: int) -> Probe | WeightProbe:
    """The probe of network i: its own samples, a tracker that knows no network yet, or what leaves no traces."""
    if isinstance(probe, Probe):
        x, y = _samples(probe.x, probe.y, i, count)
        return replace(probe, x=x, y=y)
    if fresh is not None:
        tracker = copy.deepcopy(fresh)
        return WeightProbe(lambda states: tracker.measure(states).value, probe.at)
    kept = [value for value in inspect.getclosurevars(probe.function).nonlocals.values() if isinstance(value, list)]

    def without_traces(states: Mapping[str, Tensor]) -> Tensor:
        before = [len(values) for values in kept]
        found = probe.function(states)
        for values, length in zip(kept, before, strict=True):
            del values[length:]
        return found

    return WeightProbe(without_traces, probe.at)


def _pruned(function: Callable[..., Any], a: Arguments) -> Stack | None:
    """Training from given states with given masks."""
    setting, count = a["self"], len(a["self"].seeds)
    if count == 1:
        return None

    def alone(i: int) -> Callable[[], object]:
        x, y = _samples(setting.x, setting.y, i, count)
        pairs = {name: getattr(setting, name) for name in ("validation", "test")}
        own = replace(
            setting, x=x, y=y, seeds=setting.seeds[i : i + 1], optimiser=_own(setting.optimiser, i, count),
            **{name: _samples(pair[0], pair[1], i, count) if pair else None for name, pair in pairs.items()},
        )  # fmt: skip
        trees = {name: a[name] and {key: t[i : i + 1] for key, t in a[name].items()} for name in ("starts", "masks")}
        return lambda: function(**{**a, "self": own, **trees})

    return Stack(function(**a), count, alone)


def _samples(x: Tensor, y: Tensor, i: int, count: int) -> tuple[Tensor, Tensor]:
    """The samples of network i, whether shared or its own."""
    given = Samples(x, y, count, name="data")
    return x if given.x_shared else x[i : i + 1], y if given.y_shared else y[i : i + 1]


def _row(labels: Tensor, i: int) -> Tensor:
    return labels[i : i + 1] if labels.ndim == 2 else labels


def _own(value: Any, i: int, count: int) -> Any:
    """What network i has of a rule, where that may have one number for each network."""
    if is_dataclass(value):
        own = {f.name: _own(getattr(value, f.name), i, count) for f in fields(value) if f.init}
        return replace(value, **own)  # type: ignore[type-var]
    if isinstance(value, Mapping):
        return {name: _own(one, i, count) for name, one in value.items()}
    if isinstance(value, tuple) and any(isinstance(one, list | Tensor) for one in value):  # two moments of Adam
        return tuple(_own(one, i, count) for one in value)
    if isinstance(value, list | Tensor) and len(value) == count:
        return value[i : i + 1]
    return value


def _starts(name: str) -> Callable[..., Stack | None]:
    """Functions that take points of parameter space, each the weights of one network, under this name."""

    def cut(function: Callable[..., Any], a: Arguments) -> Stack | None:
        points = getattr(a[name], "theta", a[name])
        if not isinstance(points, Tensor) or len(points) == 1:
            return None
        return Stack(function(**a), len(points), lambda i: lambda: function(**{**a, name: points[i : i + 1]}))

    return cut


def _flow(function: Callable[..., Any], a: Arguments) -> Stack | None:
    """The gradient flow of many students."""
    theta, task = a["theta"], a["task"]

    def alone(i: int) -> Callable[[], object]:
        return lambda: function(**{**a, "theta": theta[i : i + 1], "task": task.of(torch.tensor([i]))})

    return Stack(function(**a), len(theta), alone) if len(theta) > 1 else None


def _group(function: Callable[..., Any], a: Arguments) -> Stack | None:
    """The measures of a group of trained networks."""
    group, each = a["group"], len(a["group"].result) // len(a["seeds"])

    def alone(i: int) -> Callable[[], object]:
        result = group.result
        own = {
            name: {key: value[i : i + 1] for key, value in getattr(result, name).items()}
            for name in ("states", "final")
        }
        own |= {f.name: getattr(result, f.name)[i : i + 1] for f in fields(result) if f.name.startswith(("st", "div"))
                and f.name != "states"}  # fmt: skip
        initial = {key: value[i : i + 1] for key, value in group.initial.items()}
        x, y = group.x[i : i + 1], group.y[i : i + 1]
        single = replace(group, result=replace(result, **own), initial=initial, x=x, y=y)
        return lambda: function(single, a["setting"], [a["seeds"][i // each]])

    return Stack(function(**a), len(group.result), alone)


def _nested(function: Callable[..., Any], a: Arguments) -> Stack | None:
    """Networks of N random features, a fit for each N and each set of targets; the features are drawn once."""
    drawn, counts, (y, ridges) = [], list(a["counts"]), (a["y"], a["ridges"])

    def draw(more: int) -> tuple[Tensor, Tensor]:
        drawn.append(a["draw"](more))
        return drawn[-1]

    answer = list(function(draw, counts, y, ridges))
    features = [torch.cat(part, 1) for part in zip(*drawn, strict=True)]

    def alone(i: int) -> Callable[[], object]:
        N, own = counts[i // len(y)], slice(i % len(y), i % len(y) + 1)
        left = [part[:, :N] for part in features]
        few = [1] if y.shape[1] < N else []  # the fits begin with one that has no more features than samples

        def again(more: int) -> tuple[Tensor, ...]:
            taken = tuple(part[:, :more] for part in left)
            left[:] = [part[:, more:] for part in left]
            return taken

        return lambda: list(function(again, [*few, N], y[own], ridges[own]))

    return Stack(iter(answer), len(counts) * len(y), alone)


CUTS: dict[Callable[..., Any], Callable[..., Stack | None]] = {
    train: _training,
    Setting.train: _pruned,
    teacher_student.descend: _starts("starts"),
    critical.search: _starts("starts"),
    critical.polish: _starts("theta"),
    _simsek_2021_flow.flow: _flow,
    _jiang_2020_ranks.measure: _group,
    _belkin_2019_nested.nested_fits: _nested,
}
HOLDERS = [Setting]
NAMES = [_name(function) for function in CUTS]
