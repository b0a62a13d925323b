"""Definiteness decided exactly. The oracle: A = L D L^T with L unit triangular over the integers has the signs of D."""

from fractions import Fraction
from random import Random

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg import definite
from lemmata.linalg.definite import is_positive_definite, is_positive_semidefinite, rational_matrix

EXACT = ["auto", "characteristic polynomial", "ldl"]  # decide every case


@st.composite
def known_signs(draw, smallest=-3):
    """A rational matrix L D L^T and the pivots D."""
    n = draw(st.integers(1, 7))
    D = draw(st.lists(st.integers(smallest, 5), min_size=n, max_size=n))
    entries = draw(st.lists(st.integers(-4, 4), min_size=n * n, max_size=n * n))
    scale = draw(st.sampled_from([Fraction(1), Fraction(3, 7), Fraction(10) ** 40, Fraction(1, 10**400)]))
    L = np.array(entries, dtype=object).reshape(n, n)
    L = np.tril(L, -1) + np.eye(n, dtype=int).astype(object)
    return (L * np.array(D, dtype=object) @ L.T * scale).tolist(), D


@given(case=known_signs())
def test_the_ways_give_the_signs_of_the_pivots(case):
    matrix, D = case
    for way in EXACT:
        assert is_positive_definite(matrix, way=way) == (min(D) > 0), way
        assert is_positive_semidefinite(matrix, way=way) == (min(D) >= 0), way


@given(case=known_signs(smallest=1))
def test_intervals_prove_what_is_strictly_definite(case):
    assert is_positive_definite(case[0], way="interval")


def test_intervals_refute_a_negative_direction():
    assert not is_positive_semidefinite([[1, 2], [2, 3]], way="interval")


def test_intervals_do_not_guess_on_a_singular_matrix():
    with pytest.raises(NotConverged, match="characteristic polynomial"):
        is_positive_semidefinite([[1, 1], [1, 1]], way="interval")


@pytest.mark.parametrize("way", [*EXACT, "interval"])
@pytest.mark.parametrize("excess", [Fraction(1, 10**200), Fraction(-1, 10**200)])
def test_a_determinant_of_1e_minus_200_has_its_sign(way, excess):
    # far beyond float64: the second pivot of [[1, 1], [1, 1 + e]] is e
    matrix = [[1, 1], [1, 1 + excess]]
    assert is_positive_definite(matrix, way=way) == is_positive_semidefinite(matrix, way=way) == (excess > 0)


def test_the_hilbert_matrix_and_what_is_left_beyond_its_least_eigenvalue():
    # H of order 20 has condition number 2e28 and is positive definite; H - 1e-20 I is not (mpmath: the least
    # eigenvalue is about 8e-29), though no factorisation in float64 can tell
    n = 20
    hilbert = [[Fraction(1, i + j + 1) for j in range(n)] for i in range(n)]
    shifted = [[h - Fraction(i == j, 10**20) for j, h in enumerate(row)] for i, row in enumerate(hilbert)]
    for way in ("auto", "interval", "characteristic polynomial"):
        assert is_positive_definite(hilbert, way=way)
        assert not is_positive_semidefinite(shifted, way=way)


def test_congruence_alone_never_calls_an_indefinite_matrix_definite():
    # random matrices shifted to a least eigenvalue of about -1e-9, and of +1e-9, which it does prove
    generator = np.random.default_rng(0)
    for n in (5, 40):
        X = generator.standard_normal((n, n))
        low = np.linalg.eigvalsh(X @ X.T)[0]
        for shift, proven in ((1e-9, True), (-1e-9, False)):
            A = X @ X.T + (shift - low) * np.eye(n)
            integers, _ = rational_matrix((A + A.T) / 2).numer_denom()
            assert definite._congruence(integers) is proven


def test_congruence_is_not_taken_in_where_rounding_hides_the_sign():
    # L L^T of rank 3 and order 5, plus e [[1, 2], [2, 1]] at its end: an eigenvalue near -e = -2^-56 is below float64's
    # rounding, so that its Cholesky factorisation succeeds now and then; dominance must see the entry off the diagonal
    random, e, met = Random(0), Fraction(1, 2**56), 0
    for _ in range(200):
        draws = [[Fraction(random.randint(-50, 50), random.randint(51, 99)) for _ in range(3)] for _ in range(5)]
        L = [[x if j < i else Fraction(i == j) for j, x in enumerate(row)] for i, row in enumerate(draws)]
        extra = [[(e if i == j else 2 * e) if min(i, j) > 2 else 0 for j in range(5)] for i in range(5)]
        rows = [[sum(a * b for a, b in zip(L[i], L[j], strict=True)) + extra[i][j] for j in range(5)] for i in range(5)]
        integers, _ = rational_matrix(rows).numer_denom()
        met += definite._inverse_cholesky(integers) is not None
        assert not definite._congruence(integers)
        assert not is_positive_semidefinite(rows)
    assert met > 5


@pytest.mark.parametrize("way", EXACT)
def test_a_zero_on_the_diagonal_with_an_entry_beside_it(way):
    assert not is_positive_semidefinite([[0, 1], [1, 5]], way=way)
    assert is_positive_semidefinite([[0, 0], [0, 5]], way=way)


@pytest.mark.parametrize("sizes", [(1, 10**700), (10**700, 1), (Fraction(1, 10**700), 10**700)])
def test_entries_beyond_the_range_of_floats(sizes):
    small, large = sizes
    assert is_positive_definite([[small, 0], [0, large]])
    assert not is_positive_semidefinite([[small, 10**900], [10**900, large]])


def test_floats_are_taken_exactly_and_flint_matrices_as_they_are():
    assert rational_matrix(np.array([[0.1]])) == flint.fmpq_mat(1, 1, [flint.fmpq(*(0.1).as_integer_ratio())])
    assert rational_matrix(np.array([[2]])) == rational_matrix(flint.fmpz_mat(1, 1, [2])) == rational_matrix([[2]])
    # in exact arithmetic the square of the float 0.1 is 0.0100000000000000011, the float 0.01 0.0100000000000000002
    assert not is_positive_semidefinite([[1.0, 0.1], [0.1, 0.01]])
    assert is_positive_definite([[1.0, 0.1], [0.1, np.nextafter(0.01, 1)]])


def test_the_precision_of_flint_is_given_back():
    flint.ctx.prec = 77
    is_positive_definite([[2, 1], [1, 2]], way="interval")
    assert flint.ctx.prec == 77
    flint.ctx.prec = 53


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 2]], "not square"),
        ([[1, 2], [3, 4]], "not symmetric"),
        ([[1, 2], [3]], "lengths"),
        ([], "0 rows"),
        ([[float("nan")]], "finite"),
        ([[float("inf")]], "finite"),
        ([["1/2"]], "'1/2'"),
    ],
)
def test_what_is_no_symmetric_matrix_is_refused(matrix, message):
    with pytest.raises(InvalidInput, match=message):
        is_positive_definite(matrix)


def test_an_unknown_way():
    with pytest.raises(UnknownName, match="interval"):
        is_positive_definite([[1]], way="intervals")  # type: ignore[arg-type]
