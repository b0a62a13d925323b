"""Every method keeps what methods promise; those that do not are caught, each by the test that is meant for it."""

import copy

import pytest
import torch

from lemmata import flows
from lemmata.conformance import MethodConformance
from lemmata.flows import METHODS, ExplicitRungeKutta, Splitting
from lemmata.flows.state import moved

EXPLICIT = [name for name, method in METHODS.items() if isinstance(method, ExplicitRungeKutta | Splitting)]


def conformance(name: str) -> type[MethodConformance]:
    """The class for a method of this name."""
    body = {"method": lambda self: METHODS[name], "steps": 128 if name in EXPLICIT else 32}
    return type(f"Test_{name.replace('-', '_')}", (MethodConformance,), body)


for _name in METHODS:
    _case = conformance(_name)
    globals()[_case.__name__] = _case


class Told:
    """A method, but for what is told otherwise."""

    def __new__(cls, name: str, **changes):
        own = copy.copy(METHODS[name])
        for key, value in changes.items():
            setattr(own, key, value)
        return own


def half_step(f, y, h):
    return METHODS["heun"].step(f, y, 0.5 * h)


def in_place(f, y, h):
    k = f[0](y)
    y.mul_(1.001)
    return moved(y, [(h, k)])


def detached(f, y, h):
    return moved(y, [(h, f[0](y).detach())])


def noisy(f, y, h):
    return moved(y, [(h, f[0](y) + 1e-9 * torch.randn(()))])


def nearly(f, y, h):
    return moved(METHODS["implicit-midpoint"].back(f, y, h), [(1e-9, y)])


def looking(f, y, h):
    return moved(y, [(h if bool((y > -1e9).all()) else 0.0, f[0](y))])


@pytest.mark.parametrize(
    ("made", "caught"),
    [
        (lambda: Told("heun", order=3), "tableau: AssertionError: .* is 3; that of its tableau is 2"),
        (lambda: Told("heun", order=3), "order_is_observed: AssertionError: it says that its order is 3; from 32"),
        (lambda: Told("heun", step=half_step), "order_is_observed"),
        (lambda: Told("rk4", step=METHODS["midpoint"].step), "stability_function"),
        (lambda: Told("heun", nodes=(0.0, 2.0)), "says_what_it_is"),
        (lambda: Told("verlet", back=METHODS["leapfrog"].back), "back_undoes_a_step"),
        (lambda: Told("heun", reversible=True), "back_undoes_a_step"),
        (lambda: Told("heun", back=METHODS["implicit-midpoint"].back), "`back` of a method that is not reversible"),
        (lambda: Told("forward-euler", step=in_place), "writes_to_nothing"),
        (lambda: Told("forward-euler", step=noisy), "writes_to_nothing"),
        (lambda: Told("forward-euler", step=detached), "test_derivative"),
        (lambda: Told("forward-euler", step=looking), "members_at_once"),
        (lambda: Told("verlet", suit=lambda field: None), "refuses_fields"),
        (lambda: Told("implicit-midpoint", back=nearly), "gradients_are_those_of_autograd: AssertionError: the"),
    ],
    ids=["order", "observed", "half", "stability", "nodes", "other-back", "none-back", "back", "in-place", "noisy",
         "detached", "looking", "suit", "gradient"],
)  # fmt: skip
def test_what_is_broken_is_caught(made, caught):
    """By the test whose promise is broken."""

    class Case(MethodConformance):
        def method(self):
            return made()

    with pytest.raises(AssertionError, match=caught):
        Case().check()


def test_a_method_has_to_be_given():
    with pytest.raises(AssertionError, match="override"):
        MethodConformance().check()


def test_a_tableau_of_ones_own_passes():
    class Case(MethodConformance):
        def method(self):
            return flows.ExplicitRungeKutta("mine", [[], [2 / 3]], [1 / 4, 3 / 4])

    Case().check()
