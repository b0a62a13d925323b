"""Silver steps: the definition, the published sums and bounds, and what holds between their lengths."""

import numpy as np
import pytest

from lemmata.descent import accelerated_long_steps, dominant, silver, worst_case
from lemmata.errors import UnknownName

RHO = 1 + np.sqrt(2)


def test_steps_by_their_definition():
    """h_i = 1 + rho^(nu(i) - 1), i = 1, ..., 100: sqrt 2, 2, sqrt 2, 2 + sqrt 2, ..."""
    wanted = [1 + RHO ** ((i & -i).bit_length() - 2) for i in range(1, 101)]
    np.testing.assert_allclose(silver(100).steps, wanted, rtol=1e-14)


@pytest.mark.parametrize("k", range(1, 12))
def test_sum_and_bound_at_whole_lengths(k):
    """The sum is rho^k - 1, the bound 1/(2(2 rho^k - 1)), below Altschuler and Parrilo's 1/(1 + sqrt(4 rho^2k - 3))."""
    schedule, n = silver(2**k - 1), 2**k - 1
    assert schedule.steps.sum() == pytest.approx(RHO**k - 1, rel=1e-13)
    assert schedule.guarantee.bound(n) == pytest.approx(1 / (2 * (2 * RHO**k - 1)), rel=1e-14)
    assert schedule.guarantee.tight
    assert schedule.guarantee.bound(n) < 1 / (1 + np.sqrt(4 * RHO ** (2 * k) - 3)) <= 2 * schedule.guarantee.bound(n)


def test_exact_value_at_31():
    """0.003067: half of what the theorem of 2023 gives (.00606)."""
    assert silver(31).guarantee.bound(31) == pytest.approx(0.003067, abs=5e-7)


def test_between_whole_lengths_the_bound_is_carried():
    """At n = 12 of 12: what 7 steps prove, times (h - 1)^2 of steps 8 and 12 and 1 of the others; at 3 and 7 exact."""
    schedule = silver(12)
    bound = schedule.guarantee.bound
    assert not schedule.guarantee.tight
    assert bound(7) == silver(7).guarantee.bound(7)
    assert bound(12) == pytest.approx(bound(7) * ((schedule.steps[[7, 11]] - 1) ** 2).prod(), rel=1e-12)
    assert worst_case(silver(5)).value <= silver(5).guarantee.bound(5)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_accelerated_long_steps_against_the_semidefinite_program(k):
    """Both versions exact, to the solver's 1e-6; and no better than the dominant schedule of their length."""
    gap, gradient = accelerated_long_steps(k), accelerated_long_steps(k, of="gradient")
    n = 2**k - 1
    assert worst_case(gap).value == pytest.approx(gap.guarantee.bound(n), rel=1e-6)
    found = worst_case(gradient, of="gradient", given="gap").value
    assert found == pytest.approx(gradient.guarantee.bound(n), rel=1e-6)
    assert gap.guarantee.bound(n) >= dominant(n).guarantee.bound(n) * (1 - 1e-14)
    assert gap.steps.tolist() == gradient.steps[::-1].tolist()


def test_another_measure_is_refused():
    with pytest.raises(UnknownName, match="measure"):
        accelerated_long_steps(3, of="distance")
