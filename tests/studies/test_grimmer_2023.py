"""The study of long steps: its measurements against closed forms, and its verdicts at the smoke scale."""

from fractions import Fraction

import numpy as np
import pytest

from lemmata.descent.certificate import largest_Delta, published
from lemmata.studies import _grimmer_2023_cycles as cycles
from lemmata.studies._grimmer_2023_cycles import Anywhere, Cycle
from lemmata.studies._grimmer_2023_digits import Digits, digits
from lemmata.studies._grimmer_2023_proofs import Limit, Proof, limit, prove
from lemmata.verdicts import Outcome


def test_a_published_certificate_is_measured():
    (found,) = prove([Proof(t=7)])
    assert found.scalars["proven"] == 1
    assert found.scalars["off_printed"] < 0.5
    assert found.scalars["growth"] == pytest.approx(0.9801, abs=1e-12)  # (0.5^4 1.2^2 11)^2 on x^2 / 2
    assert found.scalars["coefficient"] == pytest.approx(3.2 - 1.572540749050589e-10, abs=1e-15)
    assert found.arrays["raised"].shape == (9, 9)


@pytest.mark.parametrize("changed", [{"order": "longest first"}, {"stretch": 1.5}])
def test_other_steps_are_refuted(changed):
    (found,) = prove([Proof(t=7, **changed)])
    assert found.scalars["proven"] == 0
    assert found.scalars["growth"] > 1
    assert "coefficient" not in found.scalars


def test_the_limit_is_five():
    measured = [found.scalars for found in limit([Limit(middle=middle) for middle in (4.999, 5.0)])]
    assert [(one["certified"], one["refuted"]) for one in measured] == [(1, 0), (0, 1)]


def test_one_step_of_one_from_a_gap():
    # f_1 - f* with |x_0 - x*| <= 1, f_0 - f* = delta and the step 1/L: a Huber function of slope s gives
    # delta - s^2 with delta = s - s^2/2, and nothing is worse; s = 1 - sqrt(1 - 2 delta)
    for delta in (0.01, 0.1, 0.2):
        s = 1 - np.sqrt(1 - 2 * delta)
        # 1e-7: the program is solved to 1e-9
        assert cycles.worst_from(np.array([1.0]), delta) == pytest.approx((delta - s**2) / delta, abs=1e-7)


def test_a_cycle_gains_what_the_certificate_proves_and_beyond_what_quadratics_allow_it_does_not():
    for t in (3, 7):
        beyond = float(largest_Delta(published(t).steps)) / float(published(t).Delta)
        within, over = (
            found.scalars["gained"] for found in cycles.one_cycle([Cycle(t=t), Cycle(t=t, gap=1.5 * beyond)])
        )
        assert within >= 1 - 1e-5
        assert over < 1


def test_hubers_function_is_left_at_the_closed_form():
    for t, k in ((3, 5), (127, 1)):
        (found,) = cycles.from_anywhere([Anywhere(t=t, cycles=k, searched=False)])
        total = float(sum(published(t).steps)) * k
        assert found.scalars["off_huber"] == 0
        assert found.scalars["huber"] == pytest.approx(1 / (4 * total + 2), rel=1e-15)
    assert cycles.on_huber([Fraction(1)], Fraction(2)) == 0  # the quadratic part, solved at once


def test_after_one_cycle_from_anywhere_the_quadratic_is_worst():
    (found,) = cycles.from_anywhere([Anywhere(t=7)])
    assert found.scalars["worst"] == pytest.approx(0.49005, abs=1e-7)
    assert found.scalars["share_of_quadratic"] == pytest.approx(1, abs=1e-6)
    assert cycles.from_anywhere([Anywhere(t=7, steps="constant")])[0].scalars["share_of_quadratic"] == 0


def test_methods_on_digits_do_not_see_each_other():
    together = digits([Digits(n=60, iterations=127, t=t, seed=seed) for seed in (0, 1) for t in (0, 3, 127)])
    alone = digits([Digits(n=60, iterations=127, t=3, seed=1)])[0]
    # products of stacked points round differently
    np.testing.assert_allclose(together[4].curves["gap"].y, alone.curves["gap"].y, rtol=1e-9)
    assert together[1].scalars["log10_gap"] != together[4].scalars["log10_gap"]
    baseline = digits([Digits(n=60, iterations=127, t=t, baseline=True) for t in (0, 1)])
    assert baseline[0].scalars == baseline[1].scalars


def test_the_study_at_the_smoke_scale(smoke):
    found = smoke("grimmer-2023")
    for name, verdict in found.verdicts.items():
        if name == "beyond-the-constant-step":
            assert verdict.outcome is not Outcome.VOID
        else:
            found.assert_outcome(name)


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    laptop("grimmer-2023").assert_outcomes()
