"""The counts against brute force, other recurrences, scipy's Stirling numbers, and the numbers of Bell and Fubini."""

from functools import cache
from itertools import product
from math import comb, factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stirling2

from lemmata.errors import InvalidInput
from lemmata.landscape.symmetry import G, T, expansion_count


def partitions(places: tuple[int, ...]):
    """All set partitions, by putting the first place into each block of a partition of the others, or alone."""
    if not places:
        yield []
        return
    first, rest = places[0], places[1:]
    for blocks in partitions(rest):
        yield [[first], *blocks]
        for i in range(len(blocks)):
            yield [*blocks[:i], [first, *blocks[i]], *blocks[i + 1 :]]


def subspaces(r: int, m: int) -> set:
    """Every affine subspace of the expansion manifold as its equations: who copies whom, which sets cancel."""
    found = set()
    for owners in product(range(-1, r), repeat=m):
        if set(range(r)) <= set(owners):
            free = tuple(i for i in range(m) if owners[i] < 0)
            for blocks in partitions(free):
                found.add((owners, frozenset(map(frozenset, blocks))))
    return found


@pytest.mark.parametrize(("r", "m"), [(0, 4), (1, 1), (1, 4), (2, 2), (2, 3), (2, 5), (3, 4), (3, 5), (4, 5), (1, 6)])
def test_counts_are_those_of_brute_force(r: int, m: int):
    every = subspaces(r, m)
    assert T(r, m) == len(every)
    assert G(r, m) == sum(not blocks for _, blocks in every)


def test_published_values():
    assert [T(1, 2), T(2, 3), T(2, 4), T(3, 5)] == [3, 12, 62, 450]


def next_row(row: list[int], kind: str) -> list[int]:
    """Row m + 1 from row m: where the new neuron goes (the page of derivations has both recurrences)."""
    padded = [0, *row, 0, 0]  # padded[r + 1] is row[r]
    if kind == "G":
        return [r * (padded[r + 1] + padded[r]) for r in range(len(row) + 1)]
    return [(r + 1) * padded[r + 1] + padded[r + 2] + r * padded[r] for r in range(len(row) + 1)]


@pytest.mark.parametrize(("kind", "count"), [("G", G), ("T", T)])
def test_large_arguments_equal_an_independent_recurrence(kind: str, count):
    """A triangle from m = 0 up to 160, all its last row; and single entries of m = 400."""
    row = [1]
    for m in range(1, 401):
        row = next_row(row, kind)
        if m == 160:
            assert [count(r, m) for r in range(m + 1)] == row
    for r in (1, 2, 37, 200, 390, 399, 400):
        assert count(r, 400) == row[r]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("G", G), ("T", T)])
def test_a_thousand_neurons_among_two_thousand(kind: str, count):
    row = [1]
    for _ in range(2000):
        row = next_row(row, kind)
    assert count(1000, 2000) == row[1000]


def test_the_definition_of_t_holds_term_by_term():
    """sum_u C(m, u) G(r, m - u) Bell(u), with G from scipy's exact Stirling numbers and Bell's from his recurrence."""

    @cache
    def bell(n: int) -> int:
        return 1 if n == 0 else sum(comb(n - 1, k) * bell(k) for k in range(n))

    for r, m in [(1, 3), (5, 9), (7, 40), (20, 60)]:
        onto = [factorial(r) * int(stirling2(n, r, exact=True)) for n in range(m + 1)]
        assert T(r, m) == sum(comb(m, u) * onto[m - u] * bell(u) for u in range(m - r + 1))
        assert G(r, m) == onto[m]


def test_edges():
    assert [T(0, m) for m in range(8)] == [1, 1, 2, 5, 15, 52, 203, 877]  # Bell's numbers
    assert [sum(G(r, m) for r in range(m + 1)) for m in range(7)] == [1, 1, 3, 13, 75, 541, 4683]  # Fubini's
    assert G(3, 2) == T(3, 2) == 0
    assert G(5, 5) == T(5, 5) == factorial(5)
    assert expansion_count([2, 2, 1], [3, 2, 2]) == 12 * 2 * 3


@given(r=st.integers(0, 40), h=st.integers(0, 40))
def test_minima_are_never_fewer_than_copies(r: int, h: int):
    """T counts all that G counts, and r! divides both: the neurons of the small network may be renumbered."""
    assert T(r, r + h) >= G(r, r + h)
    assert T(r, r + h) % factorial(r) == G(r, r + h) % factorial(r) == 0


@pytest.mark.parametrize("call", [lambda: G(-1, 2), lambda: T(2.0, 3), lambda: expansion_count([1], [1, 2])])
def test_refused(call):
    with pytest.raises(InvalidInput):
        call()
