"""What holds of the claims of every study as they are declared."""

import pytest

from lemmata.catalogue import entries
from lemmata.plan import grid
from lemmata.study import Study
from lemmata.study.registry import load

NAMES = [entry.name for entry in entries()]
# Smoke scales that end before the settings of some claims: they show that a study runs.
ENDS_EARLY = {
    "bartlett-2020-benign": "100 samples; limits are asked of 400",
    "choromanska-2015": "32 units; large networks have 100",
    "grimmer-2023": "periods of 15; published proofs that beat the constant step begin at 31",
    "jacot-2018": "width 256; the limit is asked of 512",
    "kaplan-2020": "64 samples; the noise floor is asked of 256",
    "lee-2019": "width 256; the authors' number is of 512",
    "mei-montanari-2022": "400 features; the widest have 1,500",
    "nagarajan-kolter-2019": "256 examples; bounds are asked of 4,096",
    "nakkiran-2020": "20 epochs; claims are about 100 and 400",
    "power-2022": "sums modulo 11; memorising is asked modulo 31",
    "schmidt-2018": "10^6 dimensions; the closed form is asked of 10^7",
    "simsek-2021": "2 units more than the teacher; nearly all runs succeed with 4",
    "yang-2022": "width 256; transfer is asked up to 512",
    "zhang-2021": "1,000 examples; the paper's number is asked of 2,000",
}


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_that_can_be_tested_has_a_control(name: str):
    claims = load(name).claims
    assert claims
    assert [claim.name for claim in claims if not claim.controls and not claim.untestable] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_scale_asks_every_claim_of_the_experiments_that_it_runs(name: str):
    """A scale replaces values of the sweep: a claim that selects a value replaced would be judged on nothing there."""
    study = load(name)
    for scale in study.scales:
        early = scale == "smoke" and name in ENDS_EARLY
        empty = _selecting_nothing(study, scale)
        assert bool(empty) == early, f"{scale}: {', '.join(empty) or 'every claim is asked'}"


def _selecting_nothing(study: Study, scale: str) -> list[str]:
    found = []
    for experiment in study.experiments.values():
        asked = [claim for claim in experiment.claims if claim.kind] if scale in experiment.seeds else []
        by_seed = any("seed" in claim.select for claim in asked)
        configs = grid.members(experiment, scale, seeds=None if by_seed else 1) if asked else []
        found += [claim.name for claim in asked if not grid.selected(experiment, claim, configs)]
    return found
