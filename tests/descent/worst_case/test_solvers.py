"""Clarabel, SCS and the interior-point method on the same programs; column generation; the choice that is reported."""

import numpy as np
import pytest

from lemmata.descent import worst_case
from lemmata.descent.worst_case.program import Program

CASES = [
    ([1.4, 2.0, 1.4], "gap", "distance", 0.0),
    ([1.0, 1.3, 1.9, 0.7], "gradient", "gap", 0.0),
    ([1.0, 1.3, 1.9, 0.7], "gradient", "distance", 0.2),
    ([1.5, 0.5], "gap", "gap", 0.3),
]


@pytest.mark.parametrize(("steps", "of", "given", "mu"), CASES)
def test_three_solvers_agree(steps, of, given, mu):
    """To the 1e-6 of the conic solvers, whose bounds are proven all the same."""
    found = {s: worst_case(steps, of=of, given=given, mu=mu, solver=s) for s in ("interior-point", "clarabel", "scs")}
    assert {name: one.solver for name, one in found.items()} == {name: name for name in found}
    assert found["clarabel"].support == found["scs"].support == "full"
    for one in found.values():
        assert one.value == pytest.approx(found["interior-point"].value, rel=1e-6)
        assert one.bound >= found["interior-point"].lower * (1 - 1e-9)


def test_pairs_are_generated_where_the_first_ones_do_not_suffice():
    """Heavy ball: the chain and * alone give a larger value than all pairs."""
    H = np.zeros((5, 5))
    for k in range(5):
        H[k] = H[k - 1] + 0.5 * (H[k - 1] - (H[k - 2] if k > 1 else 0)) if k else 0.0
        H[k, k] += 1.0
    found = worst_case(H)
    assert found.support in ("generated", "full")
    assert found.value == pytest.approx(worst_case(H, solver="clarabel").value, rel=1e-7)


def test_the_answer_does_not_depend_on_chance():
    one, two = worst_case([1.5, 2.0, 0.3]), worst_case([1.5, 2.0, 0.3])
    assert one.bound == two.bound
    assert np.array_equal(one.multipliers, two.multipliers)


def test_the_gap_is_between_what_is_proven_and_what_is_attained():
    found = worst_case([1.5, 0.5, 1.9], solver="scs")
    assert 0 < found.gap < 1e-6
    assert found.gap == pytest.approx((float(found.bound) - found.lower) / float(found.bound), rel=1e-4)


def test_multipliers_have_their_pairs():
    """Put back into the program they balance every flow, and leave S >= 0, to rounding."""
    found = worst_case([1.5, 2.2, 1.1])
    program = Program.of(found.H, kappa=0.0, of="gap", given="distance")
    assert found.proof[0].sum() - found.proof[:, 0].sum() == pytest.approx(1)  # all that enters from * ends in x_N
    assert np.abs(program.imbalance(found.value, found.proof)).max() < 1e-12
    assert np.linalg.eigvalsh(program.certificate(found.value, found.proof))[0] > -1e-12
    for (i, j), weight in zip(found.pairs.tolist(), found.multipliers, strict=True):
        assert found.proof[i + 1, j + 1] == weight
