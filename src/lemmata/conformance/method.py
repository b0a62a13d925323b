"""What every one-step method promises to `lemmata.flows`, as a test class: run it on lemmata's, or on one of your own.

    class TestMyMethod(MethodConformance):
        def method(self):
            return ExplicitRungeKutta("mine", [[], [2 / 3]], [1 / 4, 3 / 4])

A method has the order that it says it has, by its tableau and as observed; a step on y' = lambda y multiplies by its
stability function; if it is reversible, `back` undoes a step; its steps can be differentiated, exactly, whatever way
back is taken, and vectorised over members; and it writes to nothing. The fields that it is tried on are

    Riccati's   y' = -y^2 cos t,                    1 / y = 1 / y_0 + sin t
    pendulum    q' = s(t) p,  p' = -s(t) sin q,     s = 1 + cos(t) / 2: for methods that move q and p in turn

Cost: some thousand steps of four numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from unittest import SkipTest

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap

from lemmata.conformance.comparing import equal, flat, generators, require
from lemmata.conformance.promises import Promises
from lemmata.errors import LemmataError
from lemmata.flows import (
    Flow,
    Hamiltonian,
    Method,
    Partitioned,
    PiecewiseConstant,
    Plain,
    VectorField,
    check_derivative,
    integrate,
)
from lemmata.flows.field import State, hold
from lemmata.flows.methods.order import order_of

FACTORS = (-0.5, -1.2 + 0.7j, 0.9j, 0.3 - 0.4j)  # of h lambda


class MethodConformance(Promises):
    """The promises of any one-step method. Override `method`; the rest has defaults."""

    steps: int = 32  # of the coarser of two integrations whose errors tell the order
    within: float = 0.2  # by which the observed order may differ
    tolerance: float = 1e-10  # relative, in float64: of gradients, of what a step back undoes, and of R(z)

    def method(self) -> Method:
        """The method; to be overridden."""
        raise NotImplementedError("override `method(self)` with the method to be tested")

    # ---- what it says ------------------------------------------------------------------------------------------------

    def test_says_what_it_is(self) -> None:
        """A name, an order, stages, and nodes between the ends of a step."""
        method = self.method()
        require(bool(method.name) and isinstance(method.name, str), f"its name is {method.name!r}")
        require(method.order >= 1 and method.stages >= 1, f"order {method.order}, {method.stages} stages")
        require(
            len(method.nodes) > 0 and all(0 <= c <= 1 for c in method.nodes), f"nodes {method.nodes}, not in [0, 1]"
        )

    def test_order_is_that_of_the_tableau(self) -> None:
        """By the conditions on rooted trees, in exact arithmetic, where it has a tableau."""
        method = self.method()
        if not (hasattr(method, "A") and hasattr(method, "b")):
            raise SkipTest("the method has no tableau A, b")
        found = order_of(method.b, method.A)  # type: ignore[attr-defined]
        require(found == method.order, f"it says that its order is {method.order}; that of its tableau is {found}")

    def test_order_is_observed(self) -> None:
        """In twice the steps 2^order times as near to the truth."""
        method = self.method()
        errors = [self._error(method, self.steps * k) for k in (1, 2)]
        if errors[0] < 1e-12:
            raise SkipTest("its error is rounding already")
        order = math.log2(errors[0] / errors[1]) if errors[1] > 0 else math.inf
        told = (
            f"it says that its order is {method.order}; from {self.steps} to {2 * self.steps} steps it is {order:.2f}"
        )
        require(abs(order - method.order) <= self.within, told)

    def test_stability_function_is_what_a_step_does(self) -> None:
        """On y' = lambda y a step multiplies by R(h lambda); of partitioned methods R is an eigenvalue of it."""
        method = self.method()
        for z in (0.5j, 1.1j) if method.partitioned else FACTORS:
            R, growth = complex(method.stability_function(z)), float(method.growth(z))
            if method.partitioned:
                found = np.linalg.eigvals(self._step_matrix(method, z.imag))
                nearest, most = found[np.abs(found - R).argmin()], float(np.abs(found).max())
            else:
                nearest, most = self._factor(method, z), abs(R)
            told = f"at h lambda = {z} a step multiplies by {nearest:.12g}, R is {R:.12g}"
            require(abs(nearest - R) <= self.tolerance * max(1.0, abs(R)), told)
            require(abs(growth - most) <= 1e-7 * max(1.0, most), f"growth at {z} is {growth:.9g}, should be {most:.9g}")

    # ---- steps -------------------------------------------------------------------------------------------------------

    def test_keeps_shape_and_dtype(self) -> None:
        """A step of float32 is float32, and of the state's shape."""
        field, y = self._problem(self.method(), torch.float32)
        end = self._flow(field, 4)(y)
        for part, moved in zip(_parts(y), _parts(end), strict=True):
            require(
                moved.shape == part.shape and moved.dtype == part.dtype, f"{part.shape}, {part.dtype} became {moved}"
            )

    def test_writes_to_nothing(self) -> None:
        """State and weights are as before, the random generators too, and a second run is the same to the bit."""
        field, y = self._problem(self.method())
        before, drawn = [part.clone() for part in (*_parts(y), *field.parameters())], generators()
        ends = [flat(self._flow(field, 4)(y)).detach() for _ in range(2)]
        after = [part.detach() for part in (*_parts(y), *field.parameters())]
        require(all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "it writes to its state or weights")
        require(equal(*ends), "a second run differs")
        require(equal(drawn, generators()), "it draws from a global random generator")

    def test_back_undoes_a_step(self) -> None:
        """If it is reversible, from either side; if it says it is not, `back` is refused."""
        method = self.method()
        field, y = self._problem(method)
        at = torch.tensor(method.nodes, dtype=torch.float64) * 0.1
        f = hold(field, at, torch.full_like(at, 0.05))
        with torch.no_grad():
            if not method.reversible:
                self._refused(lambda: method.back(f, y, 0.1), "`back` of a method that is not reversible")
                return
            found = {
                "back after step": method.back(f, method.step(f, y, 0.1), 0.1),
                "step after back": method.step(f, method.back(f, y, 0.1), 0.1),
            }
        for what, state in found.items():
            self._close(flat(state), flat(y), f"{what} is not where it started")

    def test_members_at_once(self) -> None:
        """Under `torch.vmap` the members are what each is alone."""
        field, y = self._problem(self.method())
        flow, parts = self._flow(field, 4), _parts(y)
        scaled = [tuple(c * part for part in parts) for c in (1.0, 0.5)]

        def ended(*own: Tensor) -> tuple[Tensor, ...]:
            return _parts(flow(_state(own)))

        with torch.no_grad():
            together = vmap(ended)(*(torch.stack(each) for each in zip(*scaled, strict=True)))
            for i, own in enumerate(scaled):
                alone = flow(_state(own))
                self._close(flat([part[i] for part in together]), flat(alone), f"member {i} among others and alone")

    def test_refuses_fields_that_it_cannot_take(self) -> None:
        """A method that moves q and p in turn refuses a field that has none."""
        method = self.method()
        if not method.partitioned:
            method.suit(Riccati())
            return
        self._refused(lambda: method.suit(Riccati()), "a field that is not partitioned")

    # ---- gradients ---------------------------------------------------------------------------------------------------

    def test_derivative(self) -> None:
        """Of a network of its steps, by the state and by each weight, against differences (Taylor remainders)."""
        field, y = self._problem(self.method())
        found = check_derivative(self._flow(field, 1), y, directions=1)
        require(found.holds, f"the derivative of the steps is wrong by {', '.join(found.wrong)}")

    def test_gradients_are_those_of_autograd(self) -> None:
        """Checkpoints, and if it is reversible steps back, give the gradient that autograd gives."""
        method = self.method()
        found = {}
        for backward in ("store", "checkpoint", *(["reversible"] if method.reversible else [])):
            field, y = self._problem(method)
            parts = tuple(part.clone().requires_grad_() for part in _parts(y))
            end = self._flow(field, 6, backward)(_state(parts))
            value = torch.stack([part.sin().sum() for part in _parts(end)]).sum()
            found[backward] = flat(list(torch.autograd.grad(value, [*parts, *field.parameters()])))
        for backward, gradient in found.items():
            self._close(gradient, found["store"], f"the gradients by backward={backward!r} and by autograd")

    # ---- what the tests are made of ----------------------------------------------------------------------------------

    def _error(self, method: Method, steps: int) -> float:
        """The error at the end of a run of either field, whose solution is known or found in many steps of verlet's."""
        if method.partitioned:
            q0 = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
            truth = integrate(Pendulum(), (q0, 0 * q0), steps=1024, T=2.0, method="rk4").final
            found = integrate(Pendulum(), (q0, 0 * q0), steps=steps, T=2.0, method=method).final
            return float((flat(found) - flat(truth)).norm())
        y0 = torch.tensor([[1.0], [0.5]], dtype=torch.float64)
        found = integrate(Riccati(), y0, steps=steps, T=1.5, method=method).final
        return float((found - 1 / (1 / y0 + math.sin(1.5))).norm())

    def _factor(self, method: Method, z: complex) -> complex:
        """What one step of length 1 on y' = z y makes of 1."""
        turn = torch.tensor([[z.real, -z.imag], [z.imag, z.real]], dtype=torch.float64)
        end = integrate(
            Linear(turn), torch.tensor([[1.0, 0.0]], dtype=torch.float64), steps=1, T=1.0, method=method
        ).final
        return complex(*end[0].tolist())

    def _step_matrix(self, method: Method, omega: float) -> np.ndarray:
        """The matrix of one step of length 1 on q' = omega p, p' = -omega q."""
        q, p = torch.eye(2, dtype=torch.float64).unbind(1)
        end = integrate(Oscillator(omega), (q[:, None], p[:, None]), steps=1, T=1.0, method=method).final
        return np.stack([part[:, 0].numpy() for part in end])

    def _problem(self, method: Method, dtype: torch.dtype = torch.float64) -> tuple[VectorField, State]:
        """A small network's field, and states."""
        draw = torch.Generator().manual_seed(3)
        q, p = (torch.randn(4, 2, generator=draw, dtype=torch.float64).to(dtype) for _ in range(2))
        kind = Hamiltonian if method.partitioned else Plain
        return kind(2, PiecewiseConstant(2), dtype=dtype), (q, p) if method.partitioned else q

    def _flow(self, field: VectorField, steps: int, backward: str = "store") -> Flow:
        return Flow(field, steps=steps, method=self.method(), backward=backward)

    def _close(self, found: Tensor, wanted: Tensor, what: str) -> None:
        off, size = float((found - wanted).detach().norm()), float(wanted.detach().norm())
        require(off <= self.tolerance * size, f"{what}: off by {off:.3g}, where the size is {size:.3g}")

    def _refused(self, call, what: str) -> None:
        try:
            found = call()
        except LemmataError:
            return
        raise AssertionError(f"{what} should be refused with a LemmataError; it gave {found!r:.200}")


class Riccati(VectorField):
    """y' = -y^2 cos t."""

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give cos t."""
        return (torch.cos(times),)

    def velocity(self, y: State, *weights: Tensor) -> State:
        """Give y'."""
        return -(y**2) * weights[0]


class Pendulum(Partitioned):
    """q' = s(t) p, p' = -s(t) sin q, s = 1 + cos(t) / 2."""

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give s."""
        return (1 + torch.cos(times) / 2,)

    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give q'."""
        return weights[0] * p

    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give p'."""
        return -weights[0] * torch.sin(q)


class Oscillator(Partitioned):
    """q' = omega p, p' = -omega q."""

    def __init__(self, omega: float):
        super().__init__()
        self.omega = omega

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give none."""
        return ()

    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give q'."""
        return self.omega * p

    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give p'."""
        return -self.omega * q


class Linear(nn.Module):
    """y' = A y."""

    def __init__(self, A: Tensor):
        super().__init__()
        self.A = A

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Give y'."""
        return y @ self.A.mT


def _parts(y: State) -> tuple[Tensor, ...]:
    return tuple(y) if isinstance(y, tuple) else (y,)


def _state(parts: Sequence[Tensor]) -> State:
    first, *others = parts
    return tuple(parts) if others else first
