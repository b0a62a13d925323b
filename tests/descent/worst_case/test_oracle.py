"""Worst cases recorded by PEPit (tests/oracles/worst_case), for methods written down anew there."""

import json
from pathlib import Path

import numpy as np
import pytest

from lemmata.descent import worst_case

RECORD = json.loads((Path(__file__).parents[2] / "oracles" / "worst_case" / "pepit.json").read_text())
WITHIN = 1e-6  # PEPit's own primal and dual values differ by up to 3e-7, and stand up to 5e-7 from the closed forms


@pytest.mark.parametrize("n", [1, 3, 6])
def test_agrees_with_pepit_on_every_method_and_measure(n):
    cases = [case for case in RECORD["cases"] if case["n"] == n]
    assert len(cases) >= 30
    for case in cases:
        found = worst_case(np.array(case["H"]), mu=case["mu"], of=case["of"], given=case["given"])
        what = [case[key] for key in ("name", "n", "mu", "of", "given")]
        assert found.value == pytest.approx(case["dual"], rel=WITHIN), what
        assert abs(found.gap) < WITHIN, what
