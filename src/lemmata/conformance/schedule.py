"""What every first-order method with fixed steps promises, as a test class: run it on lemmata's, or on one of your own.

    class TestMySchedule(ScheduleConformance):
        def method(self):
            return Schedule("mine", my_steps, guarantee=my_guarantee)

A method runs by `start` and `advance` as its `matrix` says, in numpy and torch, writing to nothing; it scales with L
and does not see coordinates; it refuses what it cannot do; and what it guarantees is kept on every function tried:
quadratics, Huber functions (symmetric and lopsided), log-cosh, some of which attain the bounds of the literature. A
guarantee that is called tight must be attained by one of them. Adaptive methods (Polyak's step) have no matrix.
"""

from collections.abc import Sequence
from typing import Any
from unittest import SkipTest

import numpy as np
import torch

from lemmata.conformance.comparing import require
from lemmata.conformance.convex import Convex, functions
from lemmata.conformance.promises import Promises
from lemmata.descent.method import Guarantee, Method
from lemmata.errors import LemmataError


class ScheduleConformance(Promises):
    """The promises of any method with fixed steps. Override `method`; the rest has defaults."""

    lengths: Sequence[int] = (1, 2, 3, 5, 8)  # numbers of steps that are run, those beyond the method's length left out
    tolerance: float = 1e-12  # relative, rounding of a run; long steps multiply it
    slack: float = 1e-9  # relative: by which rounding may exceed a guarantee, or leave a tight one unattained
    attained: bool = True  # False where a tight guarantee is attained by other functions than those tried here

    def method(self) -> Method:
        """Make the method; to be overridden. Nothing may be random."""
        raise NotImplementedError("override `method(self)` with a call that makes the method to be tested")

    # ---- the promises ------------------------------------------------------------------------------------------------

    def test_matrix_is_lower_triangular(self) -> None:
        """H (n, n), float64, finite, nothing above the diagonal."""
        method = self._with_matrix()
        for n in self._lengths(method):
            H = method.matrix(n)
            require(H.shape == (n, n) and H.dtype == np.float64, f"matrix({n}) is {H.dtype} {H.shape}")
            require(bool(np.isfinite(H).all()), f"matrix({n}) is not finite")
            require(not np.triu(H, 1).any(), f"matrix({n}) looks ahead: there are entries above the diagonal")

    def test_a_run_is_what_the_matrix_says(self) -> None:
        """On a quadratic: all points by the recursion and by H; the output is H's last row."""
        method, curve = self._with_matrix(), np.array([3.0, 1.7, 0.4, 0.05])
        for n in self._lengths(method):
            H, L, x0 = method.matrix(n), 3.0, np.array([1.0, -2.0, 0.5, 3.0])
            points, output = _points(method, curve, x0, L, n)
            gradients = np.array([curve * x for x in points[:n]])
            by_matrix = x0 - H @ gradients / L
            self._close(output, by_matrix[-1], gradients, f"the output after {n} steps is not that of matrix({n})")
            for k in range(1, n):
                self._close(points[k], by_matrix[k - 1], gradients, f"point {k} of {n} is not that of matrix({n})")

    def test_numpy_and_torch_agree(self) -> None:
        """The same run in numpy, torch float64, and torch float32 to its rounding; type and shape stay."""
        x0, n = np.array([[1.0, -2.0], [0.5, 3.0]]), self._lengths(self.method())[-1]
        found = self._run(x0, n)
        for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-3)):
            other = self._run(torch.tensor(x0, dtype=dtype), n)
            require(other.dtype == dtype and other.shape == x0.shape, f"from {dtype} it makes {other.dtype}")
            off = np.abs(other.double().numpy() - found).max()
            require(off <= tolerance * max(1.0, np.abs(found).max()), f"in {dtype} it is {off:.3g} off numpy's run")

    def test_writes_to_nothing(self) -> None:
        """The start and the gradients it is given stay as they are."""
        method, x0, g = self.method(), torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.1])
        state = method.start(x0, L=2.0)
        method.advance(state, g, 1.0)
        require(x0.tolist() == [1.0, -2.0] and torch.equal(g, torch.tensor([0.5, 0.1])), "it writes to its arguments")
        require(state.k == 0 and torch.equal(state.x, torch.tensor([1.0, -2.0])), "`advance` changes the state given")

    def test_same_run_twice(self) -> None:
        """A method remembers nothing of an earlier run: the same to the bit."""
        method, x0 = self.method(), np.array([1.0, -2.0])
        n = self._lengths(method)[-1]
        require(np.array_equal(self._run(x0, n, method), self._run(x0, n, method)), "a second run differs")

    def test_scales_with_the_constant(self) -> None:
        """A function four times as steep, run with 4 L, is run through the same points."""
        n, x0 = self._lengths(self.method())[-1], np.array([1.0, -2.0])
        off = np.abs(self._run(x0, n, steepness=4.0) - self._run(x0, n)).max()
        require(off <= 1e-9 * max(1.0, np.abs(self._run(x0, n)).max()), f"4 f with 4 L ends {off:.3g} elsewhere")

    def test_refuses_what_it_cannot_do(self) -> None:
        """No steps, an L that is none, and steps beyond the end are refused with a LemmataError."""
        method = self.method()
        for L in (0.0, -1.0, float("nan"), float("inf")):
            _refused(lambda L=L: method.start(np.ones(1), L=L), f"L = {L}")
        _refused(lambda: method.matrix(0), "a matrix of no steps")
        if method.length is not None:
            _refused(lambda: method.matrix(method.length + 1), "a matrix beyond the method's length")  # type: ignore[operator]
            state = method.start(np.ones(1))
            for _ in range(method.length):
                state = method.advance(state, np.zeros(1), 0.0)
            _refused(lambda: method.advance(state, np.zeros(1), 0.0), "a step beyond the method's length")

    def test_guarantee_is_kept(self) -> None:
        """On no function tried, after no number of steps, is the bound exceeded."""
        method, guarantee = self._guaranteed()
        lengths = self._lengths(method)
        for function in functions(guarantee, None if _adaptive(method) else method.matrix, lengths):
            reached = _reached(method, guarantee, function, lengths[-1])
            for n in (0, *lengths):
                bound = guarantee.bound(n)
                require(bound > 0, f"the bound after {n} steps is {bound}; it must be positive, or infinite")
                told = f"{guarantee.of} after {n} steps of {method.name}, on {function.name}"
                kept = reached[n] <= bound * (1 + self.slack)
                require(kept, f"{told}: {reached[n]:.12g}, but {bound:.12g} is guaranteed")

    def test_tight_guarantee_is_attained(self) -> None:
        """Where the guarantee is called tight, a Huber function or a quadratic attains it."""
        method, guarantee = self._guaranteed()
        if not guarantee.tight or not self.attained:
            raise SkipTest("the guarantee is not called tight, or attained by other functions")
        ends = [method.length] if method.length is not None else self._lengths(method)
        for n in ends:
            tried = functions(guarantee, method.matrix, [n])
            best = max(_reached(method, guarantee, function, n)[n] for function in tried)
            bound = guarantee.bound(n)
            told = f"called tight after {n} steps, but {best:.9g} is the most met, of {bound:.9g}"
            require(best >= bound * (1 - self.slack), told)

    # ---- what the tests are made of ----------------------------------------------------------------------------------

    def _with_matrix(self) -> Method:
        method = self.method()
        if _adaptive(method):
            raise SkipTest("an adaptive method has no matrix")
        return method

    def _guaranteed(self) -> tuple[Method, Guarantee]:
        method = self.method()
        if method.guarantee is None:
            raise SkipTest("the method has no guarantee")
        return method, method.guarantee

    def _lengths(self, method: Method) -> list[int]:
        end = method.length
        lengths = [n for n in self.lengths if end is None or n <= end]
        return sorted({*lengths, end}) if end is not None and end <= max(self.lengths) * 8 else lengths

    def _run(self, x0: Any, n: int, method: Method | None = None, steepness: float = 1.0) -> Any:
        """The output after n steps on steepness |x|^2 / 4, with L = steepness: half of what the curvature may be."""
        method = method or self.method()
        state = method.start(x0, L=steepness)
        for _ in range(n):
            value = steepness * float((state.x * state.x).sum()) / 4
            state = method.advance(state, steepness * state.x / 2, value)
        return state.output

    def _close(self, found: np.ndarray, wanted: np.ndarray, met: np.ndarray, what: str) -> None:
        off, size = np.abs(found - wanted).max(), max(1.0, np.abs(wanted).max(), np.abs(met).max())
        require(off <= self.tolerance * size * 100, f"{what}: {off:.3g} off, where points have size {size:.3g}")


def _points(method: Method, curve: np.ndarray, x0: np.ndarray, L: float, n: int) -> tuple[list[np.ndarray], np.ndarray]:
    state, points = method.start(x0, L=L), [x0]
    for _ in range(n):
        state = method.advance(state, curve * state.x)
        points.append(state.x)
    return points, state.output


def _reached(method: Method, guarantee: Guarantee, function: Convex, n: int) -> list[float]:
    """What the bound is held against after 0, ..., n steps: gap or squared gradient norm, in the guarantee's units."""
    state, reached = method.start(function.x0, L=1.0), []
    for k in range(n + 1):
        out = state.output
        reached.append(float(function.value(out) if guarantee.of == "gap" else (function.gradient(out) ** 2).sum()))
        if k < n:
            value = float(function.value(state.x)) if _adaptive(method) else None
            state = method.advance(state, function.gradient(state.x), value)
    scale = function.scale(guarantee)
    return [size / scale for size in reached]


def _adaptive(method: Method) -> bool:
    return bool(getattr(method, "adaptive", False))


def _refused(call: Any, what: str) -> None:
    try:
        call()
    except LemmataError:
        return
    raise AssertionError(f"{what} should be refused with a LemmataError")
