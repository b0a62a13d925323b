"""The adjoint equation's gradient on random fields: its error, its memory, and where it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from weakref import WeakSet

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torchdiffeq import odeint, odeint_adjoint

from lemmata import flows
from lemmata.studies._chen_2018_adjoint import TIGHT, Contracting, Network, Solver, adjoint, relative, solved, through
from lemmata.studies._counted import Counted
from lemmata.study import Config, Curve, Measurements
from lemmata.training.streams import derived

STREAMS = 716_000  # added to every seed
FIELD, INPUTS, TARGETS = 1, 2, 3  # what streams are drawn for
STEPS = (4, 8, 16, 32, 64)
TOLERANCES = (1e-3, 1e-5, 1e-7, 1e-9, 1e-11)
WRONG = 0.5  # relative error from which on a gradient is wrong
REACH = np.array([0.4, 0.8, 1.0, 1.2, 1.4, 1.8])  # lengths T looked at, in those at which tolerance exp(rate T) = WRONG


class Gradient(Config):
    """A gradient by the adjoint equation against the true one."""

    solver: Solver = "dopri5"
    tolerance: float = Field(default=1e-6, gt=0, description="relative and absolute")
    back: float | None = Field(default=None, description="tolerance on the way back, if another")
    sign: Literal[1, -1] = Field(default=1, description="-1 for the wrong sign in the adjoint equation")
    width: int = Field(default=4, ge=1)
    hidden: int = Field(default=16, ge=1)
    samples: int = Field(default=8, ge=1)
    gain: float = Field(default=1.5, gt=0, description="of the weights")


class Work(Config):
    """How many evaluations a way forward takes."""

    solver: Solver = "dopri5"
    tolerance: float = Field(default=1e-6, gt=0, description="relative and absolute")
    width: int = Field(default=4, ge=1)
    hidden: int = Field(default=16, ge=1)
    samples: int = Field(default=8, ge=1)
    gain: float = Field(default=1.5, gt=0, description="of the weights")


class Memory(Config):
    """What is held between forward and backward, against depth."""

    way: Literal["adjoint", "checkpoint", "solver"] = Field(default="adjoint", description="how the gradient is taken")
    solver: Literal["rk4", "dopri5"] = Field(default="rk4", description="fixed steps, or steps chosen by tolerance")
    width: int = Field(default=8, ge=1)
    hidden: int = Field(default=16, ge=1)
    samples: int = Field(default=512, ge=1)
    gain: float = Field(default=1.5, gt=0, description="of the weights")


class Contraction(Config):
    """A field that forgets where it came from, gone back through."""

    rate: float = Field(default=10.0, gt=0, description="at which states run together")
    tolerance: float = Field(default=1e-6, gt=0)
    way: Literal["adjoint", "solver"] = "adjoint"
    width: int = Field(default=4, ge=2)
    slow: int = Field(default=2, ge=0, description="coordinates that do not contract")
    samples: int = Field(default=4, ge=1)


def streams(config: Config) -> tuple[torch.Generator, ...]:
    """A generator for the field, for inputs and for targets."""
    seeds = (derived([config.seed + STREAMS], use)[0] for use in (FIELD, INPUTS, TARGETS))
    return tuple(torch.Generator().manual_seed(seed) for seed in seeds)


def drawn(config: Any) -> tuple[Network, Tensor, Tensor]:
    """A field, inputs and targets."""
    field, inputs, targets = streams(config)
    shape = (config.samples, config.width)
    y, wanted = (torch.randn(*shape, generator=draw, dtype=torch.float64) for draw in (inputs, targets))
    return Network(config.width, config.hidden, field, gain=config.gain), y, wanted


def gradients(configs: Sequence[Gradient]) -> list[Measurements]:
    """Measure the error of each gradient; an adaptive solver takes one member after the other."""
    truths: dict[int, Tensor] = {}
    return [_gradient(config, truths) for config in configs]


def _gradient(config: Gradient, truths: dict[int, Tensor]) -> Measurements:
    field, y, wanted = drawn(config)
    if config.seed not in truths:
        truths[config.seed] = through(
            field, y, lambda z: (z - wanted).square().sum() / 2, T=1.0, solver="dopri5", tolerance=TIGHT
        )[1]
    found = adjoint(
        field, y, lambda z: z - wanted, T=1.0, solver=config.solver, tolerance=config.tolerance, back=config.back,
        sign=config.sign,
    )  # fmt: skip
    error = relative(found.gradient, truths[config.seed])
    return Measurements.of(error=error, forward=found.forward, backward=found.backward)


def works(configs: Sequence[Work]) -> list[Measurements]:
    """Count evaluations of the ways forward."""
    found = []
    for config in configs:
        field, y, _ = drawn(config)
        counted = Counted(field)
        solved(counted, y, T=1.0, solver=config.solver, tolerance=config.tolerance)
        found.append(Measurements.of(evaluations=counted.count))
    return found


# ---- memory ----------------------------------------------------------------------------------------------------------


def memories(configs: Sequence[Memory]) -> list[Measurements]:
    """Count bytes at several depths, and fit their exponent."""
    return [_memory(config) for config in configs]


def _memory(config: Memory) -> Measurements:
    field, y, _ = drawn(config)
    levels = STEPS if config.solver == "rk4" else TOLERANCES
    seen = dict(_depth_and_bytes(config, level, field, y) for level in levels)  # tolerances of as many evaluations: one
    depth, size = np.array([*seen], dtype=float), np.array([*seen.values()], dtype=float) / y.nbytes
    return Measurements.of(exponent=np.polyfit(np.log(depth), np.log(size), 1)[0], held=Curve(depth, size))


def _depth_and_bytes(config: Memory, level: float, field: nn.Module, y: Tensor) -> tuple[int, int]:
    """Evaluations of the field in a forward pass, and what is held after it."""
    if config.solver == "rk4":
        way = {"adjoint": "continuous", "solver": "store"}.get(config.way, config.way)
        return 4 * int(level), held(flows.Flow(field, steps=int(level), T=1.0, method="rk4", backward=way), y, field)
    counted, times = Counted(field), torch.tensor([0.0, 1.0], dtype=torch.float64)
    solver = odeint_adjoint if config.way == "adjoint" else odeint
    size = held(lambda z: solver(counted, z, times, rtol=level, atol=level, method="dopri5"), y, field)
    return counted.count, size


class Kept:
    """A tensor as autograd keeps it: forgotten when its part of the graph is."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor


def held(run: Any, y: Tensor, field: nn.Module) -> int:
    """Bytes that autograd holds after `run`, those of the input and of the weights left out."""
    own = {part.untyped_storage().data_ptr() for part in (y, *field.parameters())}
    alive: WeakSet[Kept] = WeakSet()

    def pack(tensor: Tensor) -> Kept:
        kept = Kept(tensor.detach())
        alive.add(kept)
        return kept

    with saved_tensors_hooks(pack, lambda kept: kept.tensor):
        out = run(y)
    storages = {kept.tensor.untyped_storage().data_ptr(): kept.tensor.untyped_storage().nbytes() for kept in alive}
    del out
    return sum(size for place, size in storages.items() if place not in own)


# ---- contraction -----------------------------------------------------------------------------------------------------


def contractions(configs: Sequence[Contraction]) -> list[Measurements]:
    """Go back through contracting fields of several lengths, once for either way to take the gradient."""
    seen: dict[Contraction, dict[str, Measurements]] = {}
    for config in configs:
        own = config.model_copy(update={"way": "adjoint"})
        if own not in seen:
            seen[own] = _contraction(own)
    return [seen[config.model_copy(update={"way": "adjoint"})][config.way] for config in configs]


def _contraction(config: Contraction) -> dict[str, Measurements]:
    """What is lost on the way back, and by how much the gradients of both ways are wrong."""
    draw, inputs, targets = streams(config)
    shape = (config.samples, config.width)
    field = Contracting(config.width, config.slow, draw, rate=config.rate)
    y, wanted = (torch.randn(*shape, generator=one, dtype=torch.float64) for one in (inputs, targets))
    times = REACH * np.log(WRONG / config.tolerance) / config.rate

    def gradient(T: float, tolerance: float) -> Tensor:
        return through(field, y, lambda z: (z - wanted).square().sum() / 2, T=T, solver="dopri5", tolerance=tolerance)[
            1
        ]

    lost, wrong = [], []
    for T in times.tolist():
        found = adjoint(field, y, lambda z: z - wanted, T=T, solver="dopri5", tolerance=config.tolerance)
        lost.append(relative(found.again, y))
        own = gradient(T, config.tolerance)
        wrong.append(relative(found.gradient, own))
    right = gradient(times[-1], config.tolerance / 30)
    last = {"adjoint": found.gradient, "solver": own}
    shared = {
        "place": np.interp(np.log10(WRONG), np.log10(lost), times),
        "growth": np.polyfit(times, np.log(lost), 1)[0],
        "lost": Curve(times, np.log10(lost)),
        "wrong": Curve(times, np.log10(wrong)),
    }
    return {way: Measurements.of(last=np.log10(relative(own, right)), **shared) for way, own in last.items()}
