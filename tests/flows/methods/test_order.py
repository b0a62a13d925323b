"""Rooted trees against their counts and densities, and orders against tables and scipy's tableaux."""

from fractions import Fraction

import pytest
from scipy.integrate import DOP853, RK23, RK45

from lemmata.flows.methods import order


def test_rooted_trees_are_as_many_as_the_sequence_says():
    """A000081 of the On-line Encyclopedia of Integer Sequences."""
    counted = [len(set(order.trees(n))) for n in range(1, 9)]
    assert counted == [1, 1, 2, 4, 9, 20, 48, 115] == [len(order.trees(n)) for n in range(1, 9)]


def test_densities_of_the_trees_of_four_nodes():
    """Hairer, Norsett and Wanner, table II.2.1: gamma = 4, 8, 12, 24."""
    assert sorted(map(order.density, order.trees(4))) == [4, 8, 12, 24]
    assert {order.size_of(tree) for tree in order.trees(4)} == {4}


def test_sum_over_trees_of_a_method_that_is_exact():
    """Gauss' method of two stages has order 4: its tableau to 60 digits leaves 1e-59 up to 4 nodes, not at 5."""
    root = Fraction(1732050807568877293527446341505872366942805253810380628055807, 10**60)
    a, b = Fraction(1, 4), root / 6
    A = [[a, a - b], [a + b, a]]
    weights = [Fraction(1, 2)] * 2
    left = {n: max(abs(order.defects(tree, weights, A)) for tree in order.trees(n)) for n in range(1, 6)}
    assert max(left[n] for n in (1, 2, 3, 4)) < Fraction(1, 10**58)
    assert left[5] > Fraction(1, 1000)


@pytest.mark.parametrize(("solver", "due"), [(RK23, 3), (RK45, 5)], ids=["RK23", "RK45"])
def test_tableaux_of_scipy(solver, due):
    """Its coefficients are quotients of small integers in float64; the quotients are found again, below 10^5."""
    A = [[Fraction(a).limit_denominator(100_000) for a in row] for row in solver.A]
    b = [Fraction(w).limit_denominator(100_000) for w in solver.B]
    size = len(b)
    A = [[*row, *[Fraction(0)] * (size - len(row))][:size] for row in A]
    assert order.order_of(b, A) == due


def test_the_order_is_not_said_beyond_what_was_asked():
    A = [[Fraction(a) for a in row[:12]] for row in DOP853.A[:12]]
    b = [Fraction(w) for w in DOP853.B]
    worst = max(abs(order.defects(tree, b, A)) for n in range(1, 7) for tree in order.trees(n))
    assert worst < 1e-13  # of order 8, in floating point
    assert order.order_of([Fraction(1)], [[Fraction(0)]], most=1) == 1


def test_two_tableaux_in_turn():
    """Verlet's (Lobatto IIIA and IIIB) together are of order 2, symplectic Euler's of order 1."""
    half, no, one = Fraction(1, 2), Fraction(0), Fraction(1)
    kicks, drift = [[no], [one]], [[half, no]]  # kicks after 0 and 1 drifts; the drift after half a kick
    assert order.order_of([half, half], kicks, drift) == order.order_of([one], drift, kicks) == 2
    assert order.order_of([one], [[no]], [[one]]) == 1
