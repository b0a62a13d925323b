"""When to look: counts by hand, and what holds of any of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.bernoulli import GroupSequential, looks
from lemmata.errors import InvalidInput


def test_the_usual_looks_at_a_hundred_thousand_samples() -> None:
    counts = looks(100_000)
    assert counts[:6].tolist() == [25, 50, 75, 100, 125, 150]
    assert (len(counts), counts[-1]) == (83, 100_000)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 300_000), first=st.integers(1, 200), growth=st.floats(1.001, 3))
def test_looks_increase_to_n_in_whole_blocks_and_never_wait_longer_than_asked(
    n: int, first: int, growth: float
) -> None:
    counts = looks(n, first=first, growth=growth)
    assert counts[-1] == n
    assert (np.diff(counts, prepend=0) > 0).all()
    assert (counts[:-1] % first == 0).all()
    assert (counts[1:] <= np.maximum(counts[:-1] * growth, counts[:-1]) + first).all()


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 2.5}, {"n": 10, "first": 0}, {"n": 10, "growth": 1.0}])
def test_what_gives_no_looks_is_refused(wrong: dict) -> None:
    with pytest.raises(InvalidInput, match=r"give a whole number|grow by a factor"):
        looks(**wrong)


def test_looks_and_tosses_are_bounded() -> None:
    with pytest.raises(InvalidInput, match="at most 1,000,000,000 tosses"):
        looks(10**20)
    with pytest.raises(InvalidInput, match="more than 10,000 looks"):
        looks(10**6, first=1, growth=1.0000001)
    with pytest.raises(InvalidInput, match=r"growth = 1\.0000001 makes"):
        GroupSequential(1000, growth=1.0000001)
