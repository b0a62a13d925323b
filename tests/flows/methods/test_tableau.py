"""Stability functions with their exact coefficients, symmetry, and what a tableau may not be."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput, UnknownName
from lemmata.flows import METHODS, DiagonallyImplicit, ExplicitRungeKutta, method_of
from lemmata.flows.adjoint.rate import rate_of
from lemmata.flows.methods.tableau import RungeKutta

TABLEAUX = [name for name, method in METHODS.items() if isinstance(method, RungeKutta)]
ORDERS = {
    "forward-euler": 1, "midpoint": 2, "heun": 2, "ralston": 2, "rk3": 3, "ssp-rk3": 3, "rk4": 4, "three-eighths": 4,
    "symplectic-euler": 1, "verlet": 2, "leapfrog": 2, "backward-euler": 1, "implicit-midpoint": 2, "trapezoidal": 2,
    "exponential-euler": 2,
}  # fmt: skip


def test_orders_are_those_of_the_literature():
    """Found from the tableaux by the order conditions, in rational arithmetic; nothing was told to them."""
    assert {name: method.order for name, method in METHODS.items()} == ORDERS


@pytest.mark.parametrize("name", TABLEAUX)
def test_an_explicit_method_of_p_stages_and_order_p_has_the_taylor_polynomial(name):
    method = METHODS[name]
    exact = [Fraction(1, factorial(k)) for k in range(method.order + 1)]
    if isinstance(method, ExplicitRungeKutta):
        assert list(method.numerator) == exact[: method.stages + 1]
        assert method.denominator == (1,)


def test_implicit_stability_functions():
    half = Fraction(1, 2)
    assert (METHODS["backward-euler"].numerator, METHODS["backward-euler"].denominator) == ((1,), (1, -1))
    for name in ("implicit-midpoint", "trapezoidal"):
        assert (METHODS[name].numerator, METHODS[name].denominator) == ((1, half), (1, -half))


@pytest.mark.parametrize("name", TABLEAUX)
def test_stability_function_is_the_tableaus_formula(name):
    """1 + z b^T (I - z A)^-1 1 by numpy, to 1e-13."""
    method = METHODS[name]
    A, b = np.array(method.A, dtype=float), np.array(method.b, dtype=float)
    rng = np.random.default_rng(0)
    z = rng.normal(size=20) + 1j * rng.normal(size=20)
    direct = [1 + w * b @ np.linalg.solve(np.eye(len(b)) - w * A, np.ones(len(b))) for w in z]
    np.testing.assert_allclose(method.stability_function(z), direct, rtol=1e-13)
    np.testing.assert_allclose(method.stability_function(torch.from_numpy(z)).numpy(), direct, rtol=1e-13)


@pytest.mark.parametrize("name", METHODS)
def test_stability_function_agrees_with_the_exponential_to_the_order(name):
    """|R(z) - e^z| / |z|^(p + 1) stays bounded and R is not of a higher order, but for the exact one."""
    method = METHODS[name]
    z = 1e-2 * np.exp(1j * np.linspace(0, 2 * np.pi, 7))
    ratio = np.abs(method.stability_function(z) - np.exp(z)) / np.abs(z) ** (method.order + 1)
    if name == "exponential-euler":
        assert np.all(ratio < 1e-12)
    elif name == "symplectic-euler":  # the same matrix as Verlet's, up to a change of basis
        assert np.all(ratio < 1)
    else:
        assert np.all((ratio > 1e-3) & (ratio < 1))


def test_symmetric_tableaux_run_backwards():
    assert {name for name, method in METHODS.items() if method.reversible} == {
        "symplectic-euler", "verlet", "leapfrog", "implicit-midpoint", "trapezoidal",
    }  # fmt: skip
    with pytest.raises(InvalidInput, match="rk4 cannot be run backwards"):
        METHODS["rk4"].back([], torch.ones(1, 1), 0.1)
    with pytest.raises(InvalidInput, match="backward-euler cannot be run backwards"):
        METHODS["backward-euler"].back([], torch.ones(1, 1), 0.1)


def test_a_tableau_of_ones_own_has_its_order_found():
    own = ExplicitRungeKutta("own", [[], [0.5], [0, 0.75]], [Fraction(2, 9), Fraction(1, 3), Fraction(4, 9)])
    assert own.order == 3
    assert method_of(own) is own
    assert repr(own) == "<ExplicitRungeKutta 'own' of order 3>"


def test_floats_have_the_order_of_what_they_stand_for():
    """Thirds and sixths that floats round, and an irrational tableau: Alexander's method of two stages (1977)."""
    g = 1 - 2**-0.5
    assert ExplicitRungeKutta("ralston", [[], [2 / 3]], [0.25, 0.75]).order == 2
    assert ExplicitRungeKutta("rk4", [[], [0.5], [0, 0.5], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]).order == 4
    assert DiagonallyImplicit("alexander", [[g], [1 - g, g]], [1 - g, g]).order == 2
    assert rate_of(ExplicitRungeKutta("heun", [[], [1.0]], [0.5, 0.5])) == 3


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ExplicitRungeKutta("x", [[1]], [1]), "not strictly lower triangular"),
        (lambda: DiagonallyImplicit("x", [[0, 1], [0, 0]], [0.5, 0.5]), "not lower triangular"),
        (lambda: ExplicitRungeKutta("x", [[]], [0.5]), "sum to 1/2; they must sum to 1"),
        (lambda: ExplicitRungeKutta("x", [[], [1]], [1]), "rows of \\[0, 1\\] numbers for 1 weights"),
        (lambda: ExplicitRungeKutta("x", [[0, 0]], [1]), "none longer than b"),
        (lambda: method_of(3), "a method is a name or a Method, not int"),
    ],
    ids=["explicit", "implicit", "inconsistent", "rows", "long", "type"],
)
def test_what_is_no_method(make, match):
    with pytest.raises(InvalidInput, match=match):
        make()


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownName, match="unknown method 'rk-4'; did you mean 'rk4'"):
        method_of("rk-4")
