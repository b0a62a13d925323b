"""Newton where the Hessian is indefinite, and how exactly its equations are solved."""

import pytest
import torch

from lemmata.regression import minimise
from lemmata.regression.newton_cg import eisenstat_walker, truncated_cg


def test_negative_curvature_is_left():
    # a saddle at 0: from beside it, the Hessian diag(2, -2) is indefinite; the minima are at x_2 = +-1
    def saddle(x):
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 2

    found = minimise(saddle, torch.tensor([1.0, 1e-3], dtype=torch.float64))
    assert found.x.abs() == pytest.approx([0.0, 1.0], abs=1e-6)
    assert truncated_cg(lambda v: -v, torch.ones(2), eta=0.1, products=9).tolist() == [-1, -1]


def test_forcing_terms_of_eisenstat_and_walker():
    assert eisenstat_walker(0.5, 1.0, 0.1) == pytest.approx(0.9 * 0.25)  # safeguarded: 0.9 * 0.5^2 > 0.1
    assert eisenstat_walker(0.1, 1.0, 0.1) == pytest.approx(0.9 * 0.01)
    assert eisenstat_walker(0.1, 1.0, 10.0) == 0.5
