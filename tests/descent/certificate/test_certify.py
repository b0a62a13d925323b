"""Certificates made here, and patterns refused.

Everything that is certified is verified in exact arithmetic, so what is tested is that the full rate is reached. A
refusal is tested against plain gradient descent on the function that it names, and, for the programs, against PEPit,
which finds the same growth.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.descent import Schedule, nesterov
from lemmata.descent.certificate import (
    NotStraightforward,
    Refutation,
    certify,
    generate,
    largest_Delta,
    published,
    rationalise,
    verify,
)
from lemmata.descent.certificate.refutation import as_floats, growth, quadratic
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged


@pytest.mark.parametrize(("t", "Delta"), [(3, "1/1000"), (7, "1/10000"), (15, "1/20000"), (31, "1/1000000")])
def test_one_program_each_certifies_the_full_rate_of_the_published_patterns(t, Delta):
    certificate = generate(published(t).steps, Delta)
    found = verify(certificate)
    assert found.holds
    assert certificate.Delta == Fraction(Delta) > published(t).Delta
    assert 0 <= found.rate - certificate.rate < Fraction(1, 10**12)
    # eps is what the solver leaves: 1e-12 to 1e-11 here, 1e-9 is what it is asked for
    assert 0 <= found.eps < 1e-9


@pytest.mark.parametrize("t", [3, 7, 15])
def test_a_pattern_is_certified_in_one_call(t):
    certificate = certify([float(h) for h in published(t).steps])
    assert certificate.steps == published(t).steps
    assert verify(certificate).holds
    assert certificate.average - certificate.rate < Fraction(1, 10**6)
    assert published(t).Delta < certificate.Delta <= largest_Delta(certificate.steps)


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.integers(1, 17).map(lambda k: Fraction(k, 10)), min_size=1, max_size=5))
def test_short_steps_are_straightforward(steps):
    # steps below 2 descend one by one, f falls at each: h (2 - h) / 2 |g|^2; below 1.75, well inside
    certificate = certify(steps)
    assert verify(certificate).holds
    assert certificate.average - certificate.rate < Fraction(1, 10**6)


@pytest.mark.parametrize("middle", ["5.1", "5"])
def test_beyond_the_limit_a_quadratic_refutes(middle):
    # (3/2, 5, 3/2) is the limit: on x^2 / 2 a cycle multiplies x by (1/2) 4 (1/2) = 1
    with pytest.raises(NotStraightforward, match=r"the longest, 5[.]?1?, must stay below 5$") as refused:
        certify(["1.5", middle, "1.5"])
    assert refused.value.refutation.holds
    assert refused.value.refutation.gradients[0] == (1,)
    with pytest.raises(NotConverged, match="was rejected"):
        generate(["1.5", middle, "1.5"], "1/1000")


def test_just_below_the_limit_is_certified():
    assert certify(["1.5", "4.99", "1.5"]).rate > Fraction(266, 100)


@pytest.mark.parametrize("order", [[1, 0, 2], [1, 2, 0][::-1], [3, 0, 1, 2, 4, 5, 6], [6, 5, 3, 4, 2, 1, 0]])
def test_another_order_has_no_proof_but_a_refutation(order):
    steps = [published(len(order)).steps[k] for k in order]
    assert float(np.prod([1 - float(h) for h in steps]) ** 2) < 1  # no quadratic of curvature 1 refutes it
    with pytest.raises(NotStraightforward, match="in another order") as refused:
        certify(steps)
    refutation = refused.value.refutation
    assert refutation.holds
    assert refutation.values[-1] > 2 * refutation.values[0]
    x = np.array(refutation.start, dtype=float)
    floats = as_floats(refutation)
    for h, g, point in zip(steps, floats["gradients"], floats["points"], strict=False):
        np.testing.assert_allclose(x, point, atol=1e-12)  # a few roundings of numbers near 1
        x = x - float(h) * g


def test_the_growth_is_the_one_that_pepit_finds():
    import PEPit
    from PEPit.functions import SmoothConvexFunction

    steps = [Fraction(49, 10), Fraction(3, 2), Fraction(3, 2)]
    problem = PEPit.PEP()
    function = problem.declare_function(SmoothConvexFunction, L=1.0)
    minimiser = function.stationary_point()
    x = start = problem.set_initial_point()
    problem.set_initial_condition((start - minimiser) ** 2 <= 1)
    for h in steps:
        x = x - float(h) * function.gradient(x)
    problem.set_performance_metric(function(x) - function(start))
    theirs = problem.solve(verbose=0, wrapper="cvxpy", solver="CLARABEL")
    ours = growth(steps)
    assert ours is not None
    # ours has a little added, at most (1e-4)^2 of a function of order 1; both solvers stop at about 1e-8
    assert float(ours.values[-1] - ours.values[0]) == pytest.approx(theirs, abs=1e-6)


def test_a_refutation_that_is_none():
    assert not quadratic([Fraction(1)], Fraction(1)).holds  # it descends
    good = quadratic([Fraction(3)], Fraction(1))
    assert good.holds
    assert good.slack == 0
    steeper = Refutation(good.steps, good.start, tuple((2 * g,) for (g,) in good.gradients), good.values)
    assert steeper.slack < 0
    assert not steeper.holds
    below = Refutation(good.steps, good.start, good.gradients, tuple(-f for f in good.values))
    assert not below.holds
    assert not Refutation((Fraction(1),), (Fraction(0),), ((Fraction(0),),) * 2, (Fraction(0),) * 2).holds  # f = 0


def test_no_step_that_descends_is_refuted():
    assert growth([Fraction(3, 2), Fraction(1)]) is None


def test_the_largest_delta():
    # (1 - prod (1 - h)^2) / S at curvature 1, and 1 / (2 S) for short steps
    assert float(largest_Delta([1.5, 4.9, 1.5])) == pytest.approx((1 - (0.5 * 3.9 * 0.5) ** 2) / 7.9, rel=1e-12)
    assert largest_Delta([1]) == Fraction(1, 2)


def test_rounding_to_few_bits_still_proves_something():
    seven = published(7)
    lam, gam = (np.array(part, dtype=float) for part in (seven.lam, seven.gam))
    eps = [verify(rationalise(seven.steps, seven.Delta, lam, gam, bits=bits)).eps for bits in (18, 24, 44)]
    # entries of 1e-4 and an M of least eigenvalue 1e-5: 18 bits are about the fewest that do
    assert 0 < max(eps) < 1e-4
    assert float(eps[2]) == pytest.approx(float(verify(seven).eps), rel=0.1)


def test_a_solution_just_outside_is_cut_off_at_the_signs():
    three = published(3)
    lam, gam = (np.array(part, dtype=float) for part in (three.lam, three.gam))
    lam[3, 2] -= 1e-9  # 0 in truth
    gam[4, 1] -= 50.0  # lam + Delta gam = 0.004 - 0.005 < 0 there
    found = rationalise(three.steps, three.Delta, lam, gam)
    assert found.lam[3][2] == 0
    assert found.gam[4][1] == -found.lam[4][1] / found.Delta
    assert not any("(c)" in failure for failure in verify(found).failures if "(0," not in failure)


def test_a_schedule_and_numpy_steps_are_read_as_decimals():
    pattern = Schedule("three", np.array([1.5, 4.9, 1.5]), cyclic=True)
    assert certify(pattern).steps == certify(np.array([1.5, 4.9, 1.5])).steps == published(3).steps


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "without steps"),
        ([1.5, -1.0], "the step -1"),
        ([0.0], "the step 0"),
        ([float("nan")], "a step is 'nan'"),
        (["long"], "a step is 'long'"),
        ([1.0] * 41, "of 41 steps"),
    ],
)
def test_what_is_no_pattern_is_refused(steps, message):
    with pytest.raises(InvalidInput, match=message):
        certify(steps)


@pytest.mark.parametrize("Delta", [0, -1, 0.5])
def test_a_delta_out_of_range_is_refused(Delta):
    with pytest.raises(InvalidInput, match=r"is not in \(0, 0.0632911\]"):
        certify([1.5, 4.9, 1.5], Delta)


def test_a_delta_too_large_is_not_called_a_refutation():
    with pytest.raises(NotConverged, match="smaller Delta"):
        certify([1.5, 4.9, 1.5], "1/100")


@pytest.mark.parametrize("steps", [5, nesterov(), "1.5", np.ones((1, 1))])
def test_what_is_no_row_of_steps_is_refused(steps):
    with pytest.raises(InvalidInput, match="give numbers"):
        certify(steps)


def test_what_is_no_certificate_is_refused():
    with pytest.raises(InvalidInput, match="no Certificate; make one by certify"):
        verify([1.5, 4.9, 1.5])


def test_a_threshold_is_the_decimal_that_it_prints_as():
    assert certify([1.5, 4.9, 1.5], 0.001).Delta == Fraction(1, 1000)
