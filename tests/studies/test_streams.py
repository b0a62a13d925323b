"""Streams by purpose: of a seed and a purpose alone, and none alike."""

import itertools

import pytest
import torch

from lemmata.studies._streams import Streams


def test_streams_depend_on_seed_purpose_and_what_they_are_for_and_on_nothing_else():
    """Of 32 bits, 400 seeds are all different but with probability 2e-5."""
    streams = Streams("data", "weights")
    which = [(), (1,), (2,), (1, 1)]
    seeds = [streams.seed(s, p, *w) for s, p, w in itertools.product(range(50), streams.purposes, which)]
    assert len(set(seeds)) == 400
    assert Streams("data", "weights", "orders").seed(3, "weights", 2) == streams.seed(3, "weights", 2)
    assert streams.seed(3, "weights", 0) == streams.seed(3, "weights")
    assert Streams("data", "weights", first=1000).seed(3, "data") == streams.seed(1003, "data")


def test_a_generator_begins_anew_and_is_that_of_the_seed():
    streams = Streams("data", "weights")
    first, again = (torch.rand(5, generator=streams.generator(7, "weights", 1)) for _ in range(2))
    assert first.equal(again)
    assert first.equal(torch.rand(5, generator=torch.Generator().manual_seed(streams.seed(7, "weights", 1))))
    with pytest.raises(ValueError, match="not in tuple"):
        streams.seed(0, "orders")
