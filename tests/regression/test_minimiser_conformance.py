"""What each minimiser promises of invariance, and a method from outside, right and with a slip."""

import contextlib

import pytest
import torch

from lemmata.conformance import MinimiserConformance
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.regression import minimise


class _Ours(MinimiserConformance):
    method = ""
    options: dict = {}  # noqa: RUF012
    invariances = ("rotation",)

    def run(self, function, start, steps):
        iterates = []
        with contextlib.suppress(NotConverged):
            minimise(
                function, start, method=self.method, tolerance=1e-12, iterations=steps,
                callback=lambda point: iterates.append(point.x), **self.options,
            )  # fmt: skip
        return iterates


class TestNewton(_Ours):
    method = "newton-cg"
    options = {"forcing": 1e-10}  # noqa: RUF012
    invariances = ("scale of f", "rotation", "affine map")


class TestGaussNewton(_Ours):
    method = "gauss-newton"
    invariances = ("scale of f", "rotation")


class TestLBFGS(_Ours):
    method = "lbfgs"


class TestNonlinearCG(_Ours):
    method = "nonlinear-cg"


class TestSteepestDescent(_Ours):
    method = "steepest-descent"


def adagrad(function, start, steps, *, rate=0.5, slip=False):
    """AdaGrad (Duchi, Hazan and Singer, 2011), and a slide's version, which sums x^2 and leaves out the root."""
    if not bool(start.isfinite().all()):
        raise InvalidInput("the start is not finite")
    x, total, iterates = start.clone(), torch.zeros_like(start), []
    for _ in range(steps):
        g = function.value_and_gradient(x)[1]
        total = total + (x**2 if slip else g**2)
        x = x - rate * g / (total if slip else total.sqrt())
        iterates.append(x)
    return iterates


class TestAdaGrad(MinimiserConformance):
    invariances = ("scale of f",)

    def run(self, function, start, steps):
        return adagrad(function, start, steps)


def test_the_slip_in_adagrad_breaks_its_invariance():
    class Slide(TestAdaGrad):
        def run(self, function, start, steps):
            return adagrad(function, start, steps, slip=True)

    with pytest.raises(AssertionError, match="1000 f moves them: at step 1"):
        Slide().test_scale_of_f()
    TestAdaGrad().test_scale_of_f()


def test_adagrad_is_not_invariant_to_rotations():
    class Claims(TestAdaGrad):
        invariances = ("rotation",)

    with pytest.raises(AssertionError, match="changes the iterates"):
        Claims().test_rotation()
