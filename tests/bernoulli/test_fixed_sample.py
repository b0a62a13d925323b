"""A fixed number of tosses: scipy's exact interval, and the worked outcomes of Cohen et al.'s setting."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from lemmata.bernoulli import FixedSample, Procedure, Progress
from lemmata.errors import InvalidInput


def test_the_bound_is_that_of_scipy() -> None:
    hits = np.array([0, 480, 990, 1000])
    procedure = FixedSample(1000, alpha=0.001)
    progress = procedure.start(np.zeros(4, dtype=np.int64), 100)
    assert isinstance(procedure, Procedure)
    assert isinstance(progress, Progress)
    assert progress.look(0, np.arange(4), hits).all()
    oracle = [binomtest(int(h), 1000, alternative="greater").proportion_ci(0.999, method="exact").low for h in hits]
    assert progress.lower == pytest.approx(oracle, rel=1e-9)  # both invert the incomplete beta function


def test_all_hits_of_a_hundred_thousand_certify_3_81_sigma() -> None:
    """The radius at which every curve of Cohen et al. ends, 3.8115 sigma: Phi^-1(alpha^(1/n))."""
    progress = FixedSample(100_000).start(np.zeros(1, dtype=np.int64), 100)
    progress.look(0, np.array([0]), np.array([100_000]))
    assert norm.ppf(progress.lower[0]) == pytest.approx(3.8115, abs=5e-5)


def test_only_the_active_coins_are_bounded() -> None:
    progress = FixedSample(50, alpha=0.05).start(np.zeros(3, dtype=np.int64), 10)
    progress.look(0, np.array([2]), np.array([50]))
    assert progress.lower[:2].tolist() == [0, 0]
    assert progress.lower[2] == pytest.approx(0.05 ** (1 / 50))


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": 10, "alpha": 0.0}, {"n": 10, "alpha": 1.0}, {"n": 10, "alpha": np.nan}]
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InvalidInput):
        FixedSample(**wrong)
