"""Truncated solutions against numpy's pseudo-inverse with a cut, and against the generalised decomposition."""

import numpy as np
import pytest
import torch
from tests.regression.regularisation.systems import F64, random_system

from lemmata.errors import InvalidInput
from lemmata.phantoms.ill_posed import ill_posed
from lemmata.regression.regularisation import truncated_svd, truncated_svd_path
from lemmata.regression.regularisation.differences import differences
from lemmata.regression.regularisation.filters import Landweber, Ridge, Truncation
from lemmata.regression.regularisation.standard_form import StandardForm


@pytest.mark.parametrize("columns", [None, 3])
def test_it_is_the_pseudo_inverse_with_a_cut(columns):
    A, b = random_system(columns=columns)
    s = torch.linalg.svdvals(A)
    path = truncated_svd_path(A, b)
    for k in range(1, 7):
        cut = float((s[k - 1] * s[k]).sqrt() / s[0])
        wanted = np.linalg.pinv(A.numpy(), rcond=cut) @ b.numpy()
        np.testing.assert_allclose(truncated_svd(A, b, k).numpy(), wanted, rtol=1e-9, atol=1e-12)
        residual = float((A @ torch.as_tensor(wanted) - b).norm())
        assert float(path.residual_norms[k - 1]) == pytest.approx(residual, rel=1e-10)
        assert float(path.freedom[k - 1]) == pytest.approx(k, rel=1e-12)
    torch.testing.assert_close(truncated_svd(A, b, 7), torch.linalg.lstsq(A, b).solution, rtol=1e-9, atol=1e-10)


def test_with_a_penalty_the_null_space_is_whole():
    """Second differences do not see a line, so that no number of components cuts it."""
    A, _ = random_system(12, 7)
    line = torch.arange(7.0).double() * 2 - 3
    found = truncated_svd(A, A @ line, 1, L=differences(7, 2))
    torch.testing.assert_close(found, line, rtol=1e-9, atol=1e-9)


def test_counts_out_of_range_are_refused():
    A, b = random_system()
    for k in (0, 8, -1):
        with pytest.raises(InvalidInput, match="there are 7 above rounding"):
            truncated_svd(A, b, k)
    with pytest.raises(InvalidInput, match="there are 1 above rounding"):
        truncated_svd(torch.ones(4, 3).double(), torch.ones(4).double(), 2)
    with pytest.raises(InvalidInput, match="keep fewer"):
        Truncation()(torch.tensor([1.0, 0.0]), torch.tensor([2]))


def test_discrepancy_takes_the_fewest_components_that_fit():
    problem = ill_posed("phillips", 32)
    b, noise = problem.noisy(0.02)[:, 0], 0.02 * float(problem.b.norm())
    path = truncated_svd_path(problem.A, b)
    k = int(path.discrepancy(noise).value)
    assert path.residual_norms[k - 1] <= noise < path.residual_norms[k - 2]
    assert path.gcv().value == 1 + int(path.gcv().score.argmin())


@pytest.mark.parametrize("family", [Ridge(), Truncation(), Landweber(0.9)])
def test_the_columns_of_factors_belong_together(family):
    s = torch.tensor([1.2, 1.0, 0.3, 1e-3, 1e-9]).double()
    values = torch.tensor([1.0, 2.0, 5.0]).double()
    kept, left, inverse = family(s, values)
    torch.testing.assert_close(kept + left, torch.ones(3, 5).double(), rtol=1e-12, atol=0)
    torch.testing.assert_close(inverse * s, kept, rtol=1e-10, atol=0)
    form = StandardForm.of(torch.diag(s))
    x = form.solution(torch.ones(5, 1, dtype=F64), inverse[1])
    torch.testing.assert_close(x[:, 0], inverse[1], rtol=1e-12, atol=0)


def test_landweber_at_a_vanishing_singular_value():
    """(1 - (1 - step s^2)^k) / s tends to k step s."""
    found = Landweber(0.5)(torch.tensor([1.0, 1e-9, 0.0], dtype=F64), torch.tensor([10])).inverse[0]
    torch.testing.assert_close(found[1:], torch.tensor([5e-9, 0.0], dtype=F64), rtol=1e-12, atol=0)
    with pytest.raises(InvalidInput, match="not below 2 / s_1"):
        Landweber(2.0)(torch.tensor([1.0]), torch.tensor([1]))
