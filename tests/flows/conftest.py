"""What the tests of flows share: a field whose ways are known in closed form."""

import pytest

from lemmata.flows import Partitioned


class Oscillator(Partitioned):
    """H = (q^2 + p^2) / 2."""

    def weights_at(self, times, inside):
        return ()

    def first(self, p):
        return p

    def second(self, q):
        return -q

    def energy(self, y):
        q, p = y
        return (q.square() + p.square()).sum(1) / 2


@pytest.fixture
def oscillator() -> Oscillator:
    """The harmonic oscillator, q' = p, p' = -q."""
    return Oscillator()
