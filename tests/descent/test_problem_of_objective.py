"""A user's model as a problem: the same numbers as the problem written by hand, and honest labels."""

import pytest
import torch
from torch import nn

from lemmata import descent
from lemmata.descent import problems
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged

F64 = torch.float64


def examples(n=50, d=4, classes=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draw, dtype=F64), torch.randint(classes, (n,), generator=draw)


def test_a_linear_classifier_is_softmax_regression():
    x, y = examples()
    own = descent.problem((nn.Linear(4, 3, bias=False, dtype=F64), "cross_entropy", (x, y)), ridge=1e-2)
    same = problems.softmax(x, y, 1e-2)
    points = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1), dtype=F64)
    torch.testing.assert_close(own.value_at(points), same.value_at(points), rtol=1e-13, atol=0)
    torch.testing.assert_close(own.gradient_at(points), same.gradient_at(points), rtol=1e-11, atol=1e-13)
    assert (own.L, own.mu) == (pytest.approx(same.L, rel=1e-12), same.mu)
    assert own.L_kind == own.mu_kind == own.minimum_kind == "bound"
    assert own.minimum.low - 1e-14 <= same.minimum.high <= own.minimum.high + 1e-14
    assert (own.nearest(own.x0) - same.nearest(own.x0)).norm() <= own.radius + same.radius


def test_least_squares_through_a_model():
    x, _ = examples()
    target = x @ torch.ones(4, 1, dtype=F64) + 0.1
    own = descent.problem((nn.Linear(4, 1, bias=False, dtype=F64), "mse", (x, target)), x0=torch.zeros(4, dtype=F64))
    same = problems.least_squares(x * 2**0.5, target[:, 0] * 2**0.5)
    assert pytest.approx(same.L, rel=2e-9) == own.L
    assert own.mu == pytest.approx(same.mu, rel=1e-9)
    assert own.minimum.high == pytest.approx(same.minimum.high, rel=1e-12)
    assert float(own.D) == pytest.approx(float(same.D), rel=1e-9)


def test_a_model_of_which_nothing_is_proven_says_so():
    """Pseudo-Huber regression: convex, smooth, not among the known ones."""
    x, _ = examples()
    target = x @ torch.ones(4, 1, dtype=F64)

    def loss(outputs, targets):
        return ((1 + (outputs - targets - 0.3).square()).sqrt() - 1).mean()

    own = descent.problem((nn.Linear(4, 1, bias=False, dtype=F64), loss, (x, target)), seed=0)
    assert own.L_kind == own.mu_kind == own.minimum_kind == "estimate"
    assert float(own.gradient(own.minimiser).norm()) < 1e-7 * own.L
    assert own.minimum.width < 1e-12
    rates = descent.compare([descent.schedules.constant(h=0.5)], own, 20)
    assert not rates.guaranteed
    assert "nothing is guaranteed" in str(rates)
    assert descent.problem((nn.Linear(4, 1, bias=False, dtype=F64), loss, (x, target)), L=5.0).L_kind == "bound"


def test_separable_data_without_a_ridge_have_no_minimum():
    x = torch.tensor([[1.0], [2.0], [-1.0]]).double()
    with pytest.raises(NotConverged, match="ridge"):
        descent.problem((nn.Linear(1, 2, dtype=F64), "cross_entropy", (x, torch.tensor([1, 1, 0]))), tolerance=1e-14)


def test_refuses_a_model_with_nan():
    model = nn.Linear(4, 3, dtype=F64)
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        descent.problem((model, "cross_entropy", examples()))


def test_many_starts():
    x, y = examples()
    starts = torch.randn(6, 12, generator=torch.Generator().manual_seed(2), dtype=F64)
    own = descent.problem((nn.Linear(4, 3, bias=False, dtype=F64), "cross_entropy", (x, y)), ridge=1e-2, x0=starts)
    found = descent.run(descent.schedules.constant(), own, 5)
    assert found.gap.shape == (6, 6)
    one = descent.run(descent.schedules.constant(), own.at(starts[3]), 5)
    assert found.gap[3] == pytest.approx(one.gap[0], rel=1e-12)
