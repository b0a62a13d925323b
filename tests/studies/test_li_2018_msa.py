"""The study of Li, Chen, Tai and E: what is measured, that members do not see each other, its verdicts."""

import numpy as np
import pytest

from lemmata import laboratory
from lemmata.studies import li_2018_msa as li
from lemmata.studies._li_2018_msa_toy import Linear, Toy, _measured, located, trained
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

TINY = {"layers": 3, "n": 8, "iterations": 6, "inner": 3}


@pytest.mark.parametrize("method", ["e-msa", "sgd"])
def test_members_do_not_see_each_other(method):
    """To the rounding of batched products in float32, over six iterations."""
    configs = [Toy.build({**TINY, "method": method, "seed": seed}) for seed in (0, 1)]
    together = trained(configs)
    alone = trained(configs[:1])[0]
    np.testing.assert_allclose(alone.curves["loss"].y[:3], together[0].curves["loss"].y[:3], rtol=1e-2)
    assert together[0].scalars["total"] != together[1].scalars["total"]


def test_methods_start_from_the_same_networks():
    first = [trained([Toy.build({**TINY, "method": m})])[0].curves["loss"].y[0] for m in ("e-msa", "adam")]
    assert first[0] == pytest.approx(first[1], rel=1e-5)


def test_what_is_read_off_a_curve():
    found = _measured(np.array([100.0, 10.0, 20.0, 1.0, 1.0, 1.0, 1.0, 10.0]), np.array([np.nan, 3.0])).scalars
    assert found["late"] == pytest.approx(1.0)
    assert found["early"] == pytest.approx(-2.0)
    assert found["rises"] == pytest.approx(0.2)
    assert found["constant"] == 3.0


def test_the_threshold_is_found_in_one_problem():
    found = located([Linear.build({"layers": 4})])[0]
    assert found.scalars["critical"] == pytest.approx(1.0, abs=0.05)


OUTCOMES = {claim.name: Outcome.REPRODUCED for claim in li.study.claims}
OUTCOMES["faster-than-sgd"] = Outcome.INCONCLUSIVE  # of five seeds; its mean is on the other side


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    found = laboratory.run(li.study, scale="laptop", store=tmp_path_factory.mktemp("li-2018-msa"))
    return {verdict.claim.name: verdict for verdict in found.verdicts}


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTCOMES)
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    verdict = laptop[name]
    assert verdict.outcome is OUTCOMES[name], verdict.reason
    assert all(control.outcome is ControlOutcome.REFUTED for control in verdict.controls)
