"""What holds of the claims of every study as they are declared."""

import pytest

from lemmata.catalogue import entries
from lemmata.study.registry import load


@pytest.mark.parametrize("name", [entry.name for entry in entries()])
def test_every_claim_that_can_be_tested_has_a_control(name: str):
    claims = load(name).claims
    assert claims
    assert [claim.name for claim in claims if not claim.controls and not claim.untestable] == []
