"""Complexity of labels, rates and alignment against rationals, dense solves, descent itself; intervals that hold."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.kernels import (
    KernelMatrix,
    eigendirection_rates,
    label_complexity,
    label_projections,
    target_alignment,
    two_layer_gram,
)


def points(n: int, d: int = 4, seed: int = 0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def signs(n: int, k: int = 1, seed: int = 0):
    return torch.randint(2, (n, k), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1


def inverted(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Gauss and Jordan, exactly."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for i in range(n):
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(n):
            if j != i:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[n:] for row in rows]


def test_complexity_in_rationals():
    K = [[Fraction(4), Fraction(1), Fraction(1, 2)], [Fraction(1), Fraction(3), Fraction(1, 4)],
         [Fraction(1, 2), Fraction(1, 4), Fraction(2)]]  # fmt: skip
    y = [Fraction(1), Fraction(-1), Fraction(2)]
    inverse = inverted(K)
    square = 2 * sum(y[i] * inverse[i][j] * y[j] for i in range(3) for j in range(3)) / 3
    found = label_complexity(torch.tensor([[float(v) for v in row] for row in K]), torch.tensor([1.0, -1.0, 2.0]))
    assert float(found.value) == pytest.approx(float(square) ** 0.5, rel=1e-14)
    assert float(found.low) <= float(square) ** 0.5 <= float(found.high)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_complexity_agrees_with_a_dense_solve_and_its_interval_holds(dtype):
    x = points(60)
    H, y = two_layer_gram(x).values, signs(60, 3)
    wanted = (2 * (y * torch.linalg.solve(H, y)).sum(0) / 60).sqrt()
    found = label_complexity(two_layer_gram(x.to(dtype)), y)
    if dtype == torch.float64:
        np.testing.assert_allclose(found.value, wanted, rtol=1e-10)
        assert ((found.high - found.low) / found.value < 1e-7).all()
    of_rounded = label_complexity(H.to(dtype), y)  # the same matrix, its entries rounded
    assert (of_rounded.low <= wanted * (1 + 1e-12)).all()
    assert (wanted <= of_rounded.high * (1 + 1e-12)).all()


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 20), seed=st.integers(0, 2**31))
def test_interval_holds_whatever_the_rounding(n, seed):
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(n, n, generator=draw, dtype=torch.float64)
    K = A @ A.T + 1e-3 * torch.eye(n)
    y = torch.randn(n, generator=draw, dtype=torch.float64)
    wanted = float((2 * y @ torch.linalg.solve(K, y) / n).sqrt())
    try:
        found = label_complexity(K.float(), y)
    except InvalidInput:
        return  # not determined in float32: that is an answer
    assert float(found.low) <= wanted * (1 + 1e-9)
    assert wanted <= float(found.high) * (1 + 1e-9)


def test_contributions_sum_to_the_square():
    found = label_complexity(two_layer_gram(points(30)), signs(30, 2))
    np.testing.assert_allclose(found.contributions.sum(0), found.value.square(), rtol=1e-12)


def test_one_labelling_and_several_agree():
    K, y = two_layer_gram(points(30)), signs(30, 3)
    one, several = label_complexity(K, y[:, 1]), label_complexity(K, y)
    assert one.value.shape == ()
    assert several.value.shape == (3,)
    assert float(one.value) == pytest.approx(float(several.value[1]), rel=1e-13)


def test_what_rounding_hides_is_refused_and_a_better_dtype_is_not():
    x = points(20)
    x = torch.cat([x, x[:1] + 1e-6 * points(1, seed=5)])
    y = signs(21)[:, 0]
    double = label_complexity(two_layer_gram(x), y)
    assert double.condition > 1e5
    with pytest.raises(
        InvalidInput, match=r"not determined: the smallest eigenvalue .* in torch.float32, .* give float64"
    ):
        label_complexity(two_layer_gram(x.float()), y)
    with pytest.raises(InvalidInput, match="drop repeated or parallel points"):
        label_complexity(two_layer_gram(torch.cat([x, x[:1]])), signs(22)[:, 0])


def test_projections_are_those_of_the_eigenvectors():
    K = two_layer_gram(points(25))
    y = signs(25)[:, 0]
    values, V = np.linalg.eigh(K.values.numpy())
    found = label_projections(K, y)
    np.testing.assert_allclose(found.eigenvalues, values[::-1], rtol=1e-10)
    np.testing.assert_allclose(found.coefficients.abs(), np.abs(V.T @ y.numpy())[::-1], atol=1e-9)
    assert float(found.cumulative_energy[-1]) == pytest.approx(1, abs=1e-12)
    assert (found.cumulative_energy.diff() >= 0).all()


@pytest.mark.parametrize("share", [0.5, 1.0, 1.9])
def test_rates_are_those_of_descent_on_the_linear_model(share):
    K, y = two_layer_gram(points(20)).values, signs(20, 2)
    step = share / float(torch.linalg.eigvalsh(K)[-1])
    found = eigendirection_rates(K, y, step_size=step)
    u, norms = torch.zeros_like(y), []
    for _ in range(51):
        norms.append((y - u).norm(dim=0))
        u = u - step * K @ (u - y)
    np.testing.assert_allclose(found.residual(range(51)), torch.stack(norms), rtol=1e-10)
    bound = found.bound(range(51))
    assert (found.residual(range(51)) <= bound * (1 + 1e-12)).all()


def test_a_step_size_at_which_descent_diverges_is_refused():
    for step in (0.0, -1.0, 1.0, float("nan")):
        with pytest.raises(InvalidInput, match=r"0 < step_size < 2 / lambda_max = 1"):
            eigendirection_rates(2 * torch.eye(3), torch.ones(3), step_size=step)
    with pytest.raises(InvalidInput, match="0 or more"):
        eigendirection_rates(torch.eye(3), torch.ones(3), step_size=0.5).residual([-1])


def test_alignment_is_its_definition():
    K, y = two_layer_gram(points(15)).values, signs(15, 2)
    C = torch.eye(15).double() - 1 / 15
    for centred, (A, b) in ((False, (K, y)), (True, (C @ K @ C, C @ y))):
        wanted = float((A * (b @ b.T)).sum() / (A.norm() * (b @ b.T).norm()))
        assert target_alignment(K, y, centred=centred) == pytest.approx(wanted, rel=1e-12)
    plain = KernelMatrix(K, name="H", symmetric=True)
    assert target_alignment(plain, y[:, 0], centred=False) == pytest.approx(plain.alignment(y[:, 0]), rel=1e-12)


def test_alignment_with_itself_is_one_and_a_constant_has_none():
    y = signs(10)[:, 0]
    assert target_alignment(torch.outer(y, y), y, centred=False) == pytest.approx(1)
    for K, targets in ((torch.ones(10, 10), y), (torch.eye(10), torch.ones(10))):
        with pytest.raises(InvalidInput, match="constant have no alignment"):
            target_alignment(K, targets)


@pytest.mark.parametrize("instrument", [label_projections, label_complexity, target_alignment])
@pytest.mark.parametrize(
    ("K", "y", "message"),
    [
        (torch.eye(3), torch.ones(2), "for 3 samples"),
        (torch.eye(3), torch.tensor([1.0, float("nan"), 0]), "must be finite"),
        (torch.ones(2, 3), torch.ones(2), r"shape \(2, 3\)"),
        (torch.tensor([[1.0, 1], [0, 1]]), torch.ones(2), "not symmetric"),
        (torch.eye(3), torch.zeros(3), "zero|constant"),
    ],
)
def test_what_cannot_be_used_is_named(instrument, K, y, message):
    with pytest.raises(InvalidInput, match=message):
        instrument(K, y)


def test_a_kernel_that_is_not_positive_definite_is_refused():
    with pytest.raises(InvalidInput, match="not determined: the smallest eigenvalue -1"):
        label_complexity(torch.tensor([[1.0, 2.0], [2.0, 1.0]]), torch.ones(2))


def test_draw_themselves():
    K, y = two_layer_gram(points(30)), signs(30, 2)
    for result in (label_projections(K, y), label_complexity(K, y), eigendirection_rates(K, y, step_size=0.1)):
        assert static.render(result.plot(), None).startswith("<svg")


def test_two_digits_have_simple_labels_and_random_labels_are_complex():
    """True labels stay far below 1, and more redrawn labels are more complex: on 300 real digits, 0 against 1."""
    from lemmata import data
    from lemmata.data.corruption import corrupt_labels

    digits = data.load("mnist-5k", dtype=torch.float64).flat()
    chosen = (digits.y < 2).nonzero()[:, 0]
    chosen = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[:300]]
    x, labels = digits.x[chosen], digits.y[chosen]
    shares = [0.0, 0.25, 0.5, 1.0]
    members = [corrupt_labels(labels, p, 2, generator=torch.Generator().manual_seed(1)) for p in shares]
    found = label_complexity(two_layer_gram(x / x.norm(dim=1, keepdim=True)), torch.stack(members, 1) * 2.0 - 1)
    assert float(found.value[0]) < 0.7
    assert all(a < b for a, b in pairwise(found.value.tolist()))
    assert float(found.value[-1]) > 2
