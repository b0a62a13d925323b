"""What every minimiser of a smooth function promises, and the invariances that define a method, as a test class.

    class TestMyNewton(MinimiserConformance):
        invariances = ("scale of f", "rotation", "affine map")

        def run(self, function, start, steps):
            return my_newton(function, start, steps)

Methods are known by what they do not notice. With f replaced by c f, Newton's method, conjugate gradients with exact
steps, and AdaGrad make the same iterates; under a rotation of the variables all make rotated ones but those that scale
each variable for itself (AdaGrad, Adam); under an affine map only Newton's method does. An update that was copied
wrongly, as AdaGrad with a sum of x^2 in place of g^2, breaks its invariance at the second step.
"""

import math
from typing import Any, Literal
from unittest import SkipTest

import torch
from torch import Tensor

from lemmata.conformance.comparing import equal, generators, require
from lemmata.conformance.promises import Promises
from lemmata.errors import LemmataError

Invariance = Literal["scale of f", "rotation", "affine map"]


class Quartic:
    """f(x) = c (|M x - d|^2 / 2 + sum (M x)^4 / 4): strongly convex for a regular M, with all derivatives written out.

    >>> Quartic(torch.eye(2), torch.zeros(2)).value_and_gradient(torch.ones(2))
    (tensor(1.5000), tensor([2., 2.]))
    """

    def __init__(self, M: Tensor, d: Tensor, c: float = 1.0):
        self.M, self.d, self.c = M, d, c

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The value, and the gradient (p,)."""
        z = self.M @ x
        r = z - self.d
        return self.c * (r.square().sum() / 2 + z.pow(4).sum() / 4), self.c * (self.M.T @ (r + z**3))

    def hvp(self, v: Tensor, x: Tensor) -> Tensor:
        """The Hessian at x times v; it is its own Gauss-Newton matrix, since z is linear in x."""
        return self.c * (self.M.T @ ((1 + 3 * (self.M @ x) ** 2) * (self.M @ v)))

    ggn_vp = hvp


class MinimiserConformance(Promises):
    """The promises of a minimiser. Override `run`; name its `invariances`."""

    invariances: tuple[Invariance, ...] = ()
    steps: int = 6  # that are compared
    tolerance: float = 1e-6  # relative, between iterates that should be the same
    solves: bool = True  # whether 2000 steps must bring the gradient to 1e-3 of where it began

    def run(self, function: Quartic, start: Tensor, steps: int) -> list[Tensor]:
        """The iterates after 1, 2, ... steps from `start`, at most `steps`; to be overridden."""
        raise NotImplementedError("override `run(self, function, start, steps)` with the method to be tested")

    def problem(self, dtype: torch.dtype = torch.float64) -> tuple[Quartic, Tensor]:
        """A function of five variables and a start."""
        draw = torch.Generator().manual_seed(5)
        M = torch.eye(5, dtype=torch.float64) + 0.3 * torch.randn(5, 5, generator=draw, dtype=torch.float64)
        d, x = torch.randn(2, 5, generator=draw, dtype=torch.float64)
        return Quartic(M.to(dtype), d.to(dtype)), x.to(dtype)

    # ---- the promises ------------------------------------------------------------------------------------------------

    def test_repeats_and_changes_nothing(self) -> None:
        """Twice the same to the bit; the start and the global random generators stay."""
        function, start = self.problem()
        before, drawn = start.clone(), generators()
        first, again = (self.run(function, start, self.steps) for _ in range(2))
        require(equal(tuple(first), tuple(again)), "two runs differ")
        require(torch.equal(start, before), "the start was changed")
        require(equal(drawn, generators()), "the method drew from a global random generator")

    def test_comes_near_the_minimum(self) -> None:
        """After 2000 steps the gradient is a thousandth of what it was; skipped where `solves` is False."""
        if not self.solves:
            raise SkipTest("`solves` is False")
        function, start = self.problem()
        last = self.run(function, start, 2000)[-1]
        fell = float(function.value_and_gradient(last)[1].norm() / function.value_and_gradient(start)[1].norm())
        require(fell <= 1e-3, f"after 2000 steps the gradient is {fell:.2g} of what it was")

    def test_float32_is_close_to_float64(self) -> None:
        """The first steps in single precision are those in double, to its rounding."""
        double, single = (self.run(*self.problem(dtype), 2) for dtype in (torch.float64, torch.float32))
        require(single[-1].dtype == torch.float32, f"float32 in, {single[-1].dtype} out")
        self._same([one.double() for one in single], double, 1e-2, "float32 differs from float64")

    def test_refuses_a_start_that_is_none(self) -> None:
        """NaN in the start."""
        function, start = self.problem()
        try:
            self.run(function, start * math.nan, 2)
        except LemmataError:
            return
        raise AssertionError("a start of NaN should be refused with a LemmataError")

    def test_scale_of_f(self) -> None:
        """The iterates on 1000 f are those on f."""
        function, start = self._invariant("scale of f")
        larger = Quartic(function.M, function.d, 1000.0)
        self._same(self.run(larger, start, self.steps), self.run(function, start, self.steps), 0, "1000 f moves them")

    def test_rotation(self) -> None:
        """The iterates on f(Q^T y) from Q x are those on f, rotated by Q."""
        function, start = self._invariant("rotation")
        Q = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
        self._mapped(function, start, Q)

    def test_affine_map(self) -> None:
        """The iterates on f(T^-1 y) from T x are those on f, mapped by T."""
        function, start = self._invariant("affine map")
        T = torch.diag(torch.tensor([0.2, 1.0, 3.0, 0.5, 2.0], dtype=torch.float64))
        T[0, 1:] = 0.5
        self._mapped(function, start, T)

    # ---- what the tests are made of ----------------------------------------------------------------------------------

    def _invariant(self, which: Invariance) -> tuple[Quartic, Tensor]:
        if which not in self.invariances:
            raise SkipTest(f"the method does not claim to be invariant to: {which}")
        return self.problem()

    def _mapped(self, function: Quartic, start: Tensor, T: Tensor) -> None:
        moved = Quartic(function.M @ torch.linalg.inv(T), function.d)
        there = self.run(moved, T @ start, self.steps)
        here = [T @ x for x in self.run(function, start, self.steps)]
        self._same(there, here, 0, "a map of the variables changes the iterates")

    def _same(self, found: list[Any], wanted: list[Any], tolerance: float, what: str) -> None:
        require(len(found) == len(wanted) > 0, f"{what}: {len(found)} iterates against {len(wanted)}")
        for step, (one, other) in enumerate(zip(found, wanted, strict=True), 1):
            off, size = float((one - other).norm()), float(other.norm())
            require(off <= (tolerance or self.tolerance) * size, f"{what}: at step {step} by {off / size:.2g}")
