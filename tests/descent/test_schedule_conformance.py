"""Every schedule and method keeps the promises of `ScheduleConformance`, and the class catches those who do not."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lemmata import descent
from lemmata.conformance import ScheduleConformance
from lemmata.descent.method import Coefficients, Guarantee, Method, Schedule

METHODS = {
    "constant 1": descent.constant,
    "constant 0.3": lambda: descent.constant(20, 0.3),
    "constant 1.7": lambda: descent.constant(h=1.7),
    "constant, optimal": lambda: descent.constant(6, "optimal"),
    "constant, mu": lambda: descent.constant(h=2 / 1.1, mu=0.1),
    "grimmer 2": lambda: descent.grimmer(2, eta=0.5),
    "grimmer 2, eta 2.5": lambda: descent.grimmer(2, eta=2.5),
    "grimmer 3": lambda: descent.grimmer(3),
    "grimmer 7": lambda: descent.grimmer(7),
    "grimmer 15": lambda: descent.grimmer(15),
    "grimmer 31": lambda: descent.grimmer(31),
    "grimmer 63": lambda: descent.grimmer(63),
    "grimmer 127": lambda: descent.grimmer(127),
    "silver 7": lambda: descent.silver(7),
    "silver 12": lambda: descent.silver(12),
    "primitive 10": lambda: descent.primitive(10),
    "primitive 31": lambda: descent.primitive(31),
    "dominant 1": lambda: descent.dominant(1),
    "dominant 6": lambda: descent.dominant(6),
    "dominant 50": lambda: descent.dominant(50),
    "gradient-dominant 6": lambda: descent.gradient_dominant(6),
    "gradient-dominant 25": lambda: descent.gradient_dominant(25),
    "long steps 1": lambda: descent.long_steps(1, slack=0.1),
    "long steps 2": lambda: descent.long_steps(2),
    "long steps 3": lambda: descent.long_steps(3, slack=0.1),
    "accelerated long steps": lambda: descent.accelerated_long_steps(4),
    "accelerated long steps, gradient": lambda: descent.accelerated_long_steps(4, of="gradient"),
    "nesterov": descent.nesterov,
    "nesterov, mu": lambda: descent.nesterov(mu=0.05),
    "ogm": descent.ogm,
    "ogm 5": lambda: descent.ogm(5),
    "heavy ball, average": lambda: descent.heavy_ball(0.5),
    "heavy ball, momentum 0": lambda: descent.heavy_ball(0.0, 0.7),
    "heavy ball, last": lambda: descent.heavy_ball(0.5, output="last"),
    "heavy ball, increasing": lambda: descent.heavy_ball("increasing"),
    "heavy ball, quadratics": lambda: descent.heavy_ball(mu=0.1),
    "polyak": lambda: descent.polyak(0.0),
    "polyak, factor 2": lambda: descent.polyak(0.0, factor=2.0),
    "bnb-pep 9": lambda: descent.bnb_pep(9),
}
PROMISES = [name for name in dir(ScheduleConformance) if name.startswith("test_")]


def conformance(make, lengths=(1, 2, 3, 5, 8)):
    return type("Conformance", (ScheduleConformance,), {"method": lambda self: make(), "lengths": lengths})


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_its_promises(name):
    lengths = (1, 2, 3, 7, 14, 31) if name.startswith(("grimmer", "long")) else (1, 2, 3, 5, 8)
    conformance(METHODS[name], lengths)().check()


# ---- methods that break one promise each -----------------------------------------------------------------------------


def too_good() -> Method:
    """Claims a hundredth more than is true."""
    bound = Guarantee("gap", "distance", lambda n: 0.99 / (4 * n + 2), "nowhere")
    return Schedule("constant", np.ones(1), cyclic=True, guarantee=bound)


def not_tight() -> Method:
    bound = Guarantee("gap", "distance", lambda n: 1.01 / (4 * n + 2), "nowhere", tight=True)
    return Schedule("constant", np.ones(1), cyclic=True, guarantee=bound)


def too_good_for_gradients() -> Method:
    true = descent.gradient_dominant(3)
    return replace(true, guarantee=replace(true.guarantee, bound=lambda n: true.guarantee.bound(n) * 0.999))


def not_positive() -> Method:
    return replace(descent.constant(), guarantee=replace(descent.constant().guarantee, bound=lambda n: 0.0))


@dataclass(frozen=True, eq=False)
class Broken(Method):
    how: str = ""

    def coefficients(self, k):
        return Coefficients(1.0, 0.3, 0.3)

    def matrix(self, n):
        H = super().matrix(max(n, 1))
        if self.how == "upper":
            return H + np.triu(np.ones((n, n)), 1)
        return H * 1.001 if self.how == "another matrix" else H

    def start(self, x0, *, L=1.0):
        if self.how == "double" and hasattr(x0, "double"):
            x0 = x0.double()
        return super().start(x0, L=1.0 if self.how == "any L" else L)

    def advance(self, state, gradient, value=None):
        if self.how == "writes":
            gradient *= 1.0 + 1e-3
        if self.how == "no L":
            gradient = gradient * state.L
        new = super().advance(state, gradient, value)
        return replace(new, x=new.x + 1e-6 * np.random.default_rng().random()) if self.how == "random" else new


BREACHES = {
    "test_guarantee_is_kept": [too_good, too_good_for_gradients, not_positive],
    "test_tight_guarantee_is_attained": [not_tight],
    "test_matrix_is_lower_triangular": [lambda: Broken("broken", how="upper")],
    "test_a_run_is_what_the_matrix_says": [lambda: Broken("broken", how="another matrix")],
    "test_writes_to_nothing": [lambda: Broken("broken", how="writes")],
    "test_scales_with_the_constant": [lambda: Broken("broken", how="no L")],
    "test_same_run_twice": [lambda: Broken("broken", how="random")],
    "test_refuses_what_it_cannot_do": [lambda: Broken("broken", how="any L"), lambda: Broken("broken", how="")],
    "test_numpy_and_torch_agree": [lambda: Broken("broken", how="double")],
}


def test_every_promise_is_broken_once():
    assert sorted(BREACHES) == sorted(PROMISES)


@pytest.mark.parametrize("promise", PROMISES)
def test_a_broken_promise_is_caught(promise):
    for method in BREACHES[promise]:
        with pytest.raises((AssertionError, TypeError, AttributeError)):
            getattr(conformance(method)(), promise)()
        with pytest.raises(AssertionError, match=promise):
            conformance(method)().check()
