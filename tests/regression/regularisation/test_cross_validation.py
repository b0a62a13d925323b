"""k folds against fits by hand and against scikit-learn; m folds against leave-one-out in closed form (1e-10)."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_score
from tests.regression.regularisation.systems import F64, random_system

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.regression.regularisation import cross_validation, ridge_path

VALUES = torch.logspace(-2, 3, 30, dtype=F64)


@pytest.mark.parametrize("columns", [None, 2])
def test_as_many_folds_as_rows_are_leave_one_out(columns):
    A, b = random_system(15, 6, columns=columns)
    folds = cross_validation(A, b, VALUES, folds=15, seed=3)
    torch.testing.assert_close(folds.score, ridge_path(A, b, VALUES).leave_one_out().score, rtol=1e-10, atol=0)
    assert folds.rule == "15-fold cross-validation"


def test_folds_are_scikit_learns_on_the_same_rows():
    A, b = random_system(23, 6)
    found = cross_validation(A, b, VALUES, folds=4, seed=7)
    order = torch.randperm(23, generator=torch.Generator().manual_seed(7))
    of_row = np.empty(23, dtype=int)
    for fold, rows in enumerate(order.tensor_split(4)):
        of_row[rows] = fold
    for i in (0, 12, 29):
        model = Ridge(alpha=float(VALUES[i]), fit_intercept=False)
        wanted = -cross_val_score(
            model, A.numpy(), b.numpy(), cv=PredefinedSplit(of_row), scoring="neg_mean_squared_error"
        )
        np.testing.assert_allclose(found.folds[:, i].numpy(), wanted, rtol=1e-9)
        sizes = np.bincount(of_row)
        assert float(found.score[i]) == pytest.approx(float(wanted @ sizes) / 23, rel=1e-9)
    assert float(found.stderr[3]) == pytest.approx(float(found.folds[:, 3].std()) / 2)


def test_the_choice_is_the_least_and_the_simplest_is_within_one_standard_error():
    A, b = random_system(60, 10, seed=4)
    b = b + A.sum(1) / 3
    found = cross_validation(A, b, VALUES, seed=0)
    place = int(found.score.argmin())
    assert found.value == float(VALUES[place])
    torch.testing.assert_close(found.x, ridge_path(A, b, VALUES).solution(found.value))
    simplest = int((found.simplest == VALUES).nonzero()[0, 0])
    assert found.score[simplest] <= found.score[place] + found.stderr[place]
    assert simplest == len(VALUES) - 1 or found.score[simplest + 1] > found.score[place] + found.stderr[place]
    assert torch.equal(found.score, cross_validation(A, b, VALUES, seed=0).score)
    assert not torch.equal(found.score, cross_validation(A, b, VALUES, seed=1).score)
    assert static.render(found.plot()).startswith("<svg")


@pytest.mark.parametrize("folds", [1, 0, 13])
def test_folds_that_make_no_sense(folds):
    with pytest.raises(InvalidInput, match="between 2 and as many"):
        cross_validation(*random_system(12, 7), folds=folds)
