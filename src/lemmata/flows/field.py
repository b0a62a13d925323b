"""Vector fields y' = f(t, y): what a residual network is a discretisation of.

A field keeps its weights apart from its rule. `weights_at` gives the weights at many times in one product each, stacked
along a first axis; `velocity(y, *weights)` is the rule, a pure function of a state and one set of weights. So a step of
an integrator can be differentiated by its weights, taken again backwards, run for many layers at once, or sent to
another process, and no layer's weights are ever sliced out of a stacked parameter one by one: the backward pass of a
slice writes zeros as large as the whole stack, which makes that of all layers quadratic in depth.

A state is a tensor (samples, ...) or, for `Partitioned` fields, a pair (q, p) of them.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lemmata.errors import InvalidInput, LemmataError
from lemmata.given import require_model, require_number

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # what torch computes a state in
State = Any  # a tensor, or a pair of tensors of one shape
UNFITTING = (
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    RuntimeError,
)  # what modules raise of tensors unlike theirs


class VectorField(nn.Module, ABC):
    """y' = velocity(y, *weights(t)); `T` is the end of time that the weights are made for, None if there is none."""

    T: float | None = None

    @abstractmethod
    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give each weight at `times` (N,), stacked: (N, *shape).

        `inside` (N,) are times strictly inside the step that asks: where the weights jump at a time, the side counts
        on which `inside` lies, so that the last stage of a step has the weights of its own layer.
        """

    @abstractmethod
    def velocity(self, y: State, *weights: Tensor) -> State:
        """Give y' at one time; a pure function."""

    def forward(self, t: float | Tensor, y: State) -> State:
        """Give y' at time t, as ODE solvers ask for it."""
        if not isinstance(t, Tensor) or t.numel() != 1:
            t = require_number(t, "t")
        time = torch.as_tensor(t, dtype=torch.float64).detach().reshape(1)
        return hold(self, time, time)[0](y)

    def energy(self, y: State, *weights: Tensor) -> Tensor:
        """Give a number for each sample that the flow keeps while the weights stay, (samples,); few fields have one."""
        raise InvalidInput(
            f"{type(self).__name__} keeps no energy that is known; flows.Hamiltonian and flows.Hyperbolic do, with "
            f"an activation whose integral is closed"
        )


class Partitioned(VectorField):
    """q' = first(p), p' = second(q): what can be integrated explicitly and symplectically, and run backwards.

    A state is a pair (q, p) of tensors of one shape; `Flow` starts a single tensor as q, with p = 0.
    """

    @abstractmethod
    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give q'."""

    @abstractmethod
    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give p'."""

    def velocity(self, y: State, *weights: Tensor) -> State:
        """Give (q', p')."""
        q, p = require_pair(self, y)
        return self.first(p, *weights), self.second(q, *weights)


class ModuleField(VectorField):
    """Any module `f(t, y)` as a field: its weights are time and its parameters, the same at all times.

    >>> class Decay(nn.Module):
    ...     def forward(self, t, y):
    ...         return -t * y
    >>> ModuleField(Decay())(2.0, torch.ones(1))
    tensor([-2.])
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = require_called_as_field(module)
        self.names = [name for name, _ in module.named_parameters()]

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give the times, and views of the parameters that copy nothing."""
        parameters = dict(self.module.named_parameters())
        stacked = (parameters[name].expand(len(times), *parameters[name].shape) for name in self.names)
        return times, *stacked

    def velocity(self, y: State, *weights: Tensor) -> State:
        """Give the module's answer, with these parameters."""
        t, *parameters = weights
        return functional_call(self.module, dict(zip(self.names, parameters, strict=True)), (t, y))


def require_open(module: object) -> nn.Module:
    """Give a module back that can be called with other weights than its own.

    >>> require_open(nn.DataParallel(nn.Linear(1, 1)))
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: a DataParallel keeps its weights to itself; give the module that it was made of
    """
    own = require_model(module)
    if isinstance(own, (torch.jit.ScriptModule, nn.DataParallel)):
        raise InvalidInput(f"a {type(own).__name__} keeps its weights to itself; give the module that it was made of")
    return own


def require_called_as_field(module: object) -> nn.Module:
    """Give a module back that can be called as f(t, y), as far as its signature tells.

    >>> require_called_as_field(nn.Linear(2, 2))
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: Linear takes (input); a field takes f(t, y): wrap it in a module that leaves t unused
    """
    own = require_open(module)
    signature = inspect.signature(own.forward)
    try:
        signature.bind(None, None)
    except TypeError:
        raise InvalidInput(
            f"{type(own).__name__} takes ({', '.join(signature.parameters)}); a field takes f(t, y): wrap it in a "
            f"module that leaves t unused"
        ) from None
    return own


def as_field(field: object) -> VectorField:
    """Take a field as it is, and a module `f(t, y)` as the field it stands for."""
    if isinstance(field, VectorField):
        return field
    if isinstance(field, nn.Module):
        return ModuleField(field)
    raise InvalidInput(f"a field is a VectorField or a torch module f(t, y), not {type(field).__name__}")


MENDS = {  # what torch says of modules that are no functions of their state -> what mends it
    "randomness": "it draws random numbers, as dropout does in training: call its eval()",
    "mutate a captured": "it keeps something of what passes, as batch normalisation does in training: call its eval()",
}


@dataclass(frozen=True, eq=False)
class Velocity:
    """A field held at one time, with the weights it has then."""

    field: VectorField
    weights: tuple[Tensor, ...]

    def __call__(self, y: State) -> State:
        """Give y', of the shape of y and in a dtype that leaves y in its own."""
        return asked(self.field, self.field.velocity, y, self.weights)

    def energy(self, y: State) -> Tensor:
        """Give the energy of each sample at this time, if the field has one."""
        return self.field.energy(y, *self.weights)

    def first(self, p: Tensor) -> Tensor:
        """Give q' of a partitioned field."""
        return asked(self.field, self.field.first, p, self.weights)  # type: ignore[attr-defined]

    def second(self, q: Tensor) -> Tensor:
        """Give p' of a partitioned field."""
        return asked(self.field, self.field.second, q, self.weights)  # type: ignore[attr-defined]


def asked(field: VectorField, rule: Callable[..., State], y: State, weights: tuple[Tensor, ...]) -> State:
    """Ask a field for a velocity; what its module raises of a state unlike its own becomes a refusal of the state."""
    before = _written(y)
    try:
        moved = rule(y, *weights)
    except (LemmataError, torch.OutOfMemoryError):
        raise
    except UNFITTING as failed:
        mends = (mend for words, mend in MENDS.items() if words in str(failed))
        raise InvalidInput(
            f"{_name(field)} gave no velocity of a state {shape_of(y)}: {type(failed).__name__}: {failed}; "
            f"{next(mends, 'give states that it takes')}"
        ) from failed
    if _written(y) != before:
        raise InvalidInput(
            f"{_name(field)} overwrites its state in place, and the step goes on from what is left; let it work on a "
            f"copy, y.clone()"
        )
    return like(field, y, moved)


def _written(y: State) -> list[int]:
    """How often each tensor of a state was written to, as far as torch counts it."""
    parts = [part for part in (y if isinstance(y, tuple) else (y,)) if isinstance(part, Tensor)]
    return [part._version for part in parts if not part.is_inference()]


@contextmanager
def refusing(words: str, remedy: str) -> Iterator[None]:
    """Make what a function of the caller's raises of tensors unlike its own a refusal of them.

    >>> with refusing("the head takes no (3,)", "give one that fits"):
    ...     torch.ones(3) @ torch.ones(2)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: the head takes no (3,): RuntimeError: inconsistent tensor size, expected tensor [3] \
and src [2] to have the same number of elements, but got 3 and 2 elements respectively; give one that fits
    """
    try:
        yield
    except (LemmataError, torch.OutOfMemoryError):
        raise
    except UNFITTING as failed:
        raise InvalidInput(f"{words}: {type(failed).__name__}: {failed}; {remedy}") from failed


def shape_of(y: State) -> str:
    """Say shape and dtype in words."""
    if isinstance(y, tuple):
        return f"({', '.join(map(shape_of, y))})"
    return f"{tuple(y.shape)} {y.dtype}" if isinstance(y, Tensor) else type(y).__name__


def like(field: VectorField, y: State, moved: State) -> State:
    """Refuse a velocity that cannot be added to the state: another shape, or a dtype that would change the state's."""
    if isinstance(y, Tensor) and isinstance(moved, Tensor):
        fits = moved.is_floating_point() and torch.promote_types(y.dtype, moved.dtype) == y.dtype
        if moved.shape != y.shape or not fits:
            raise InvalidInput(
                f"{_name(field)} takes a state {tuple(y.shape)} in {y.dtype} to a velocity {tuple(moved.shape)} in "
                f"{moved.dtype}; a velocity is of the state's shape and dtype: change width outside the flow"
            )
        return moved
    if isinstance(y, tuple) and isinstance(moved, tuple) and len(y) == len(moved):
        return tuple(like(field, part, step) for part, step in zip(y, moved, strict=True))
    raise InvalidInput(
        f"{_name(field)} gave a {type(moved).__name__} for the velocity of a state that is a {type(y).__name__}; both "
        f"are tensors, or tuples of as many of them"
    )


def require_pair(field: VectorField, y: State) -> tuple[Tensor, Tensor]:
    """Give the parts of a partitioned field's state."""
    if not isinstance(y, tuple) or len(y) != 2 or not all(isinstance(part, Tensor) for part in y):
        given = f"{len(y)} parts" if isinstance(y, tuple) else f"a {type(y).__name__}"
        raise InvalidInput(
            f"a state of {_name(field)} is a pair (q, p) of tensors, not {given}; (q, zeros) starts at rest"
        )
    return y


def _name(field: VectorField) -> str:
    return type(field.module if isinstance(field, ModuleField) else field).__name__


def _stacks(field: VectorField, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
    """The field's weights at the times; refused where they are not one stack a weight, with one entry a time."""
    stacks = field.weights_at(times, inside)
    if isinstance(stacks, (tuple, list)) and all(
        isinstance(stack, Tensor) and stack.ndim > 0 and len(stack) == len(times) for stack in stacks
    ):
        return tuple(stacks)
    given = shape_of(tuple(stacks)) if isinstance(stacks, (tuple, list)) else f"a {type(stacks).__name__}"
    raise InvalidInput(
        f"{_name(field)}.weights_at gave {given} at {len(times)} times; give a tuple of tensors, each weight stacked "
        f"along a first axis of {len(times)}, or () for a field without weights"
    )


def stacked(field: VectorField, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
    """Give each weight at the times (N,), stacked: (N, *shape), or (1, *shape) where all times share one.

    Shared are weights that the field gave as a view which repeats one along the first axis. They are asked for again at
    one time, so that their gradient is summed where it arises, and never held N times.
    """
    stacks = _stacks(field, times, inside)
    tied = [len(stack) > 1 and stack.stride(0) == 0 for stack in stacks]
    if not any(tied):
        return stacks
    single = _stacks(field, times[:1], inside[:1])
    return tuple(one if shared else stack for one, stack, shared in zip(single, stacks, tied, strict=True))


def hold(field: VectorField, times: Tensor, inside: Tensor) -> list[Velocity]:
    """Hold the field at each of the times; one product a weight, taken apart by `unbind`, whose backward is linear."""
    stacks = _stacks(field, times, inside)
    if not stacks:
        return [Velocity(field, ())] * len(times)
    return [Velocity(field, weights) for weights in zip(*(stack.unbind(0) for stack in stacks), strict=True)]
