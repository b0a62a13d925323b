"""Hits behind printed radii: every whole number of hits is found again, by trying all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.errors import InvalidInput
from lemmata.robustness import Gaussian, Laplace, Uniform
from lemmata.robustness.certificates.recovered_hits import attainable, recovered_hits

NOISES = (Gaussian(0.25), Gaussian(1.0), Laplace(0.5), Uniform(1.5))


@pytest.mark.parametrize("noise", NOISES, ids=repr)
@pytest.mark.parametrize(("n", "alpha"), [(100, 0.001), (1500, 0.01), (1500, 0.001)])
def test_the_run_of_hits_is_the_one_found_by_trying_all(noise, n, alpha):
    radii = noise.radius(clopper_pearson(np.arange(n + 1), n, alpha=alpha))
    printed = np.array([float(f"{radius:.3g}") for radius in radii])
    low, high = recovered_hits(printed, n, noise, alpha=alpha)
    for shown in np.unique(printed):
        run = np.flatnonzero(printed == shown)
        assert set(low[run]) == {run[0]}, shown
        assert set(high[run]) == {run[-1]}, shown


@given(st.integers(60_000, 100_000), st.sampled_from(NOISES), st.sampled_from([3, 5, 8]))
@settings(max_examples=60, deadline=None)
def test_hits_lie_in_their_run_and_more_digits_narrow_it(hits, noise, digits):
    radius = float(noise.radius(clopper_pearson(hits, 100_000, alpha=0.001)))
    low, high = recovered_hits([float(f"{radius:.{digits}g}")], 100_000, noise, digits=digits)
    assert low[0] <= hits <= high[0]
    if digits == 8:
        assert low[0] == high[0] == hits


def test_radii_between_the_attainable_ones_are_told():
    """With all hits of 100,000 the radius is 3.812 sigma at alpha = 0.001, 3.911 at 0.01; the next 3.716, 3.821."""
    shown = [0.0, 0.953, 0.978, 0.955, 0.94]
    assert attainable(shown, 100_000, Gaussian(0.25)).tolist() == [True, True, False, False, False]
    assert attainable(shown, 100_000, Gaussian(0.25), alpha=0.01).tolist() == [True, False, True, True, False]


def test_a_level_that_was_not_used_is_named_with_one_that_fits():
    with pytest.raises(InvalidInput, match=r"1 of 2 radii, 0.978 the first.* at alpha = 0.01 all do"):
        recovered_hits([0.978, 0.3, 0.0], 100_000, Gaussian(0.25))
    with pytest.raises(InvalidInput, match="give the noise, n and alpha"):
        recovered_hits([9.0], 100, Gaussian(0.25))
    with pytest.raises(InvalidInput, match="n = 0"):
        recovered_hits([0.5], 0, Gaussian(0.25))


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"radius": ["a"]}, "radius"), ({"radius": [-1.0]}, "radius = -1"),
        ({"radius": [float("nan")]}, "radius = nan"),
        ({"noise": 0.25}, "noise = 0.25"), ({"digits": "a"}, "digits = 'a'"), ({"digits": 0}, "digits = 0"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(settings, what):
    with pytest.raises(InvalidInput, match=what):
        recovered_hits(**{"radius": [0.3], "n": 1000, "noise": Gaussian(0.25)} | settings)
