import numpy as np
import pytest

from lemmata.errors import InvalidInput, LemmataError
from lemmata.estimate import Estimate, NotConverged


def test_interval_is_the_textbook_t_interval():
    # n = 10: t_{0.975, 9} = 2.262157..., from any table
    low, high = Estimate(1.0, stderr=1.0, n=10).interval(0.95)
    assert (high - 1.0, 1.0 - low) == pytest.approx((2.2621571628, 2.2621571628), abs=1e-9)


def test_interval_covers_the_mean_as_often_as_it_says():
    # 4,000 samples of n = 5 normals: coverage 0.9 with standard deviation 0.0047; five of these either side
    rng = np.random.default_rng(0)
    draws = rng.normal(3.0, 2.0, size=(4000, 5))
    estimate = Estimate(draws.mean(1), stderr=draws.std(1, ddof=1) / np.sqrt(5), n=5)
    low, high = estimate.interval(0.9)
    assert abs(((low < 3.0) & (high > 3.0)).mean() - 0.9) < 0.024


def test_exact_value_has_a_point_interval():
    assert Estimate(2.5).interval() == (2.5, 2.5)


def test_an_interval_that_cannot_be_had_is_refused():
    with pytest.raises(InvalidInput, match="level 1 is not between 0 and 1"):
        Estimate(1.0, stderr=0.1, n=5).interval(1)
    with pytest.raises(InvalidInput, match="no interval from n = 1 draw"):
        Estimate(1.0, stderr=0.1, n=1).interval()


def test_writes_itself_with_its_error():
    assert f"{Estimate(1.23456, stderr=0.01234, n=9):.3f}" == "1.235 ± 0.012"
    assert f"{Estimate(2.0)}" == "2"


def test_not_converged_carries_the_best_value_and_says_what_to_do():
    with pytest.raises(LemmataError, match=r"residual 0.5, tolerance 0.001; take more steps") as caught:
        raise NotConverged("Lanczos", best=3.0, residual=0.5, tolerance=1e-3, remedy="take more steps")
    assert (caught.value.best, caught.value.residual) == (3.0, 0.5)
