"""What every vector field promises to `lemmata.flows`, as a test class: run it on its layers, or on your own.

    class TestMyLayer(FieldConformance):
        def field(self):
            return MyLayer(3, flows.PiecewiseLinear(3), dtype=torch.float64)

A field gives velocities of the state's shape, each sample's by itself, as a pure function of a state and one set of
weights; these it gives at many times at once. Its derivatives are right, forwards and backwards, by the state and by
each weight; integrated by a method of order p in twice the steps its states are 2^p times as near to the truth, if it
is `smooth`; and whoever goes back through it finds the same gradient. What it says of an energy holds.

Cost: some thousand velocities of `samples` samples.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from unittest import SkipTest

import torch
from torch import Tensor
from torch.func import vmap

from lemmata.conformance.comparing import equal, flat, generators, require
from lemmata.conformance.promises import Promises
from lemmata.errors import LemmataError
from lemmata.flows import Flow, Partitioned, VectorField, check_adjoint, check_derivative, integrate
from lemmata.flows.field import State, Velocity, hold


class FieldConformance(Promises):
    """The promises of any field. Override `field`, and `state` where states are not (samples, `width`)."""

    width: int = 3
    samples: int = 4
    steps: int = 16  # of the coarser of two integrations; weights may jump between steps only
    smooth: bool = True  # False where velocities have kinks, of which no method has its order
    within: float = 0.3  # by which the observed order may differ
    tolerance: float = 1e-10  # relative, in float64

    def field(self) -> VectorField:
        """The field, in float64; to be overridden."""
        raise NotImplementedError("override `field(self)` with the field to be tested, in float64")

    def state(self) -> State:
        """Gaussian states (samples, width), or for partitioned fields a pair of such; float64."""
        draw = torch.Generator().manual_seed(7)
        parts = [torch.randn(self.samples, self.width, generator=draw, dtype=torch.float64) for _ in range(2)]
        return tuple(parts) if isinstance(self.field(), Partitioned) else parts[0]

    # ---- what it gives -----------------------------------------------------------------------------------------------

    def test_keeps_shape_and_dtype(self) -> None:
        """A velocity is of the state's shape and dtype, in float64 and in float32."""
        for dtype in (torch.float64, torch.float32):
            y = _to(self.state(), dtype)
            moved = self._held(self.field().to(dtype))(y)
            for part, step in zip(_parts(y), _parts(moved), strict=True):
                told = f"a state {tuple(part.shape)} in {dtype} has a velocity {tuple(step.shape)} in {step.dtype}"
                require(part.shape == step.shape and step.dtype == dtype, told)

    def test_weights_at_many_times_are_those_at_each(self) -> None:
        """Stacks have a row for each time, and that row is what the time alone gives."""
        field, times, inside = self.field(), *self._times()
        stacks = field.weights_at(times, inside)
        for n in range(len(times)):
            alone = field.weights_at(times[n : n + 1], inside[n : n + 1])
            require(len(alone) == len(stacks), f"{len(stacks)} weights at many times, {len(alone)} at one")
            for i, (stack, one) in enumerate(zip(stacks, alone, strict=True)):
                told = f"weight number {i} is {tuple(stack.shape)} at {len(times)} times, {tuple(one.shape)} at one"
                require(len(stack) == len(times) and stack[n : n + 1].shape == one.shape, told)
                self._close(stack[n : n + 1], one, f"weight number {i} at time {times[n]:.3g}, of many and alone")

    def test_is_a_pure_function(self) -> None:
        """Twice the same, to the bit; state, weights and random generators as before."""
        field, y = self.field(), self.state()
        f, before, drawn = self._held(field), (copy.deepcopy(y), copy.deepcopy(dict(field.state_dict()))), generators()
        first = f(y)
        require(equal(before, (y, dict(field.state_dict()))), "it writes to its state or its weights")
        require(equal(first, f(y)), "asked twice, it gives two velocities")
        require(equal(drawn, generators()), "it draws from a global random generator")

    def test_each_sample_by_itself(self) -> None:
        """The velocity of a sample is that which it has alone."""
        f, y = self._held(self.field()), self.state()
        whole = f(y)
        for i in range(len(_parts(y)[0])):
            alone = f(_each(y, slice(i, i + 1)))
            self._close(flat(_each(whole, slice(i, i + 1))), flat(alone), f"sample {i} among others and alone")

    def test_vectorises(self) -> None:
        """Under `torch.vmap` over states the same as one state after the other."""
        f, y = self._held(self.field()), self.state()
        pair = tuple(torch.stack([part, 2 * part]) for part in _parts(y))

        def moved(*parts: Tensor) -> tuple[Tensor, ...]:
            return _parts(f(_state(parts)))

        found = vmap(moved)(*pair)
        for i, scaled in enumerate((y, _each(y, slice(None), 2.0))):
            self._close(flat([part[i] for part in found]), flat(f(scaled)), "under vmap")

    def test_pairs_move_each_other(self) -> None:
        """The velocity of a partitioned field is what `first` makes of p and `second` of q."""
        field, y = self.field(), self.state()
        if not isinstance(field, Partitioned):
            raise SkipTest("the field is not partitioned")
        f = self._held(field)
        require(equal(tuple(f(y)), (f.first(y[1]), f.second(y[0]))), "`velocity` is not (first(p), second(q))")

    def test_energy_stays(self) -> None:
        """The energy that it says it keeps has no derivative along the velocity."""
        f, y = self._held(self.field()), self.state()
        try:
            f.energy(y)
        except LemmataError:
            raise SkipTest("the field keeps no energy that is known") from None
        parts = tuple(part.clone().requires_grad_() for part in _parts(y))
        value = f.energy(_state(parts))
        require(value.shape == parts[0].shape[:1], f"energy {tuple(value.shape)}; it is a number for each sample")
        slopes = torch.autograd.grad(value.sum(), parts)
        products = [(slope * moved).detach() for slope, moved in zip(slopes, _parts(f(y)), strict=True)]
        change, size = sum(p.flatten(1).sum(1) for p in products), sum(p.abs().flatten(1).sum(1) for p in products)
        worst = float((torch.as_tensor(change).abs() / torch.as_tensor(size).clamp_min(1e-300)).max())
        require(worst <= self.tolerance, f"the energy changes along the velocity, by {worst:.3g} of its terms")

    # ---- its derivatives ---------------------------------------------------------------------------------------------

    def test_derivative(self) -> None:
        """`backward` gives the derivative by the state and by each weight, by Taylor remainders."""
        if not self.smooth:
            raise SkipTest("the field has kinks, at which remainders are not of second order")
        found = check_derivative(self.field(), self.state(), directions=1)
        require(found.holds, f"the derivative is wrong by {', '.join(found.wrong)}")

    def test_adjoint(self) -> None:
        """`backward` is the adjoint of the derivative forwards."""
        found = check_adjoint(self.field(), self.state(), trials=2)
        require(found.holds, f"`backward` is not the adjoint by {', '.join(found.wrong)}")

    def test_ways_back_agree(self) -> None:
        """A network of its layers has one gradient, whether states are stored or computed again."""
        field, ways = self.field(), ["store", "checkpoint"]
        method = "verlet" if isinstance(field, Partitioned) else "heun"
        trained = [p for p in field.parameters() if p.requires_grad]
        ways += ["reversible"] if isinstance(field, Partitioned) else []
        found = []
        for backward in ways:
            parts = tuple(part.clone().requires_grad_() for part in _parts(self.state()))
            end = self._flow(field, method, self.steps, backward)(_state(parts))
            value = torch.stack([part.sin().sum() for part in _parts(end)]).sum()
            grads = torch.autograd.grad(value, [*parts, *trained], materialize_grads=True)
            found.append(flat(list(grads)))
        for name, gradient in zip(ways[1:], found[1:], strict=True):
            self._close(gradient, found[0], f"the gradient by backward={name!r} and by autograd")

    def test_order_of_convergence(self) -> None:
        """What more steps change in the answer of a method of order 2 is a quarter when steps are halved."""
        if not self.smooth:
            raise SkipTest("the field has kinks")
        field = self.field()
        method = "verlet" if isinstance(field, Partitioned) else "midpoint"
        with torch.no_grad():
            ends = [flat(self._flow(field, method, self.steps * k)(self.state())) for k in (1, 2, 4)]
        coarse, fine = (float((a - b).norm()) for a, b in pairwise(ends))
        if coarse <= 1e-12 * float(ends[-1].norm()):
            raise SkipTest("the method is exact on this field, to rounding")
        order = math.log2(coarse / fine) if fine > 0 else math.inf
        told = f"{method} converges with order {order:.2f} from {self.steps} steps on, not with 2"
        require(abs(order - 2) <= self.within, f"{told}: do its weights jump inside steps, or its velocities?")

    # ---- what it refuses ---------------------------------------------------------------------------------------------

    def test_refuses_states_that_are_none(self) -> None:
        """No tensors, whole numbers, and NaN."""
        field, y = self.field(), self.state()
        wrong = {
            "None": None,
            "a list": [1.0, 2.0],
            "whole numbers": _to(y, torch.int64),
            "NaN": _each(y, ..., math.nan),
        }
        for what, state in wrong.items():
            try:
                found = integrate(field, state, steps=2, T=field.T or 1.0, method="midpoint")
            except LemmataError:
                continue
            raise AssertionError(f"{what} should be refused with a LemmataError; it gave {found.final!r:.200}")

    # ---- what the tests are made of ----------------------------------------------------------------------------------

    def _times(self) -> tuple[Tensor, Tensor]:
        T = self.field().T or 1.0
        times = torch.linspace(0, T, 6, dtype=torch.float64)[:-1]
        return times, times + T / 100

    def _held(self, field: VectorField) -> Velocity:
        times, inside = self._times()
        return hold(field, times[1:2], inside[1:2])[0]

    def _flow(self, field: VectorField, method: str, steps: int, backward: str = "store") -> Flow:
        return Flow(field, steps=steps, T=field.T or 1.0, method=method, backward=backward)

    def _close(self, found: Tensor, wanted: Tensor, what: str) -> None:
        off, size = float((found - wanted).detach().norm()), float(wanted.detach().norm())
        require(
            off <= self.tolerance * max(size, 1e-300), f"{what} differ by {off:.3g}, where they have size {size:.3g}"
        )


def _parts(y: State) -> tuple[Tensor, ...]:
    return tuple(y) if isinstance(y, tuple) else (y,)


def _state(parts: Sequence[Tensor]) -> State:
    first, *others = parts
    return tuple(parts) if others else first


def _each(y: State, at: object, factor: float = 1.0) -> State:
    """Some samples of a state, times a factor."""
    return tuple(_each(part, at, factor) for part in y) if isinstance(y, tuple) else factor * y[at]


def _to(y: State, dtype: torch.dtype) -> State:
    return tuple(part.to(dtype) for part in y) if isinstance(y, tuple) else y.to(dtype)
