"""The Fisher information against its definition: outer products of gradients, one backward pass for each label.

Tolerance 1e-12: sums of a few dozen terms of order one in float64.
"""

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

from lemmata import curvature, nets
from lemmata.errors import InvalidInput
from lemmata.objective import Objective

CLOSE = {"rtol": 0, "atol": 1e-12}
WAYS = ["double backward", "linearize"]
N, C = 7, 3


def problem(loss="cross_entropy"):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(N, 4, generator=g, dtype=torch.float64)
    y = torch.randint(C, (N,), generator=g)
    y = y if loss == "cross_entropy" else torch.randn(N, C, generator=g, dtype=torch.float64)
    return Objective(
        nets.mlp(4, [5], C, activation="tanh", seed=0, dtype=torch.float64), loss=loss, data=(x, y), chunk=4
    )


def gradient(objective, x, y, loss):
    theta = objective.vector(objective.parameters).requires_grad_()
    value = loss(functional_call(objective.model, objective.tree(theta), (x[None],)), y[None])
    return torch.autograd.grad(value, theta)[0]


def samples(objective):
    return [(x, y) for xs, ys in objective.batches for x, y in zip(xs, ys, strict=True)]


@pytest.mark.parametrize("way", WAYS)
def test_exact_is_the_expectation_over_the_models_own_labels(way):
    objective = problem()
    expected = 0
    for x, _ in samples(objective):
        p = functional_call(objective.model, objective.parameters, (x[None],)).softmax(1)[0]
        for label in range(C):
            g = gradient(objective, x, torch.tensor(label), functional.cross_entropy)
            expected = expected + p[label] * g[:, None] * g / N
    torch.testing.assert_close(curvature.fisher(objective, way=way).dense(), expected, **CLOSE)


def test_of_squared_error_is_that_of_the_gaussian_whose_logarithm_the_loss_is():
    objective = problem("mse")
    expected = 0
    for x, _ in samples(objective):
        z = functional_call(objective.model, objective.parameters, (x[None],))[0]
        for axis in torch.eye(
            C, dtype=torch.float64
        ):  # E of outer products over N(z, C/2): its axes do as well as draws
            g = gradient(objective, x, z + (C / 2) ** 0.5 * axis, functional.mse_loss)
            expected = expected + g[:, None] * g / N
    torch.testing.assert_close(curvature.fisher(objective).dense(), expected, **CLOSE)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_sampled_is_unbiased_and_a_mean_of_outer_products(loss):
    """1500 draws in 30 operators: an entry off by more than 6 standard errors has probability 1e-8 at 30 degrees of
    freedom or 1e-6 in all, the seed being fixed.
    """
    objective = problem(loss)
    exact = curvature.fisher(objective).dense()
    draws = torch.stack([curvature.fisher(objective, samples=50, seed=seed).dense() for seed in range(30)])
    error = draws.std(0) / 30**0.5
    assert ((draws.mean(0) - exact).abs() < 6 * error + 1e-12).all()
    assert (draws.mean(0) - exact).norm() < 0.1 * exact.norm()
    one = curvature.fisher(objective, samples=1, seed=3).dense()
    rank = int((torch.linalg.eigvalsh(one) > 1e-12).sum())
    assert rank <= N


def test_sampled_is_the_same_at_each_product_and_by_each_way():
    objective = problem()
    first, second = (curvature.fisher(objective, samples=5, seed=1, way=way).dense() for way in WAYS)
    torch.testing.assert_close(first, second, **CLOSE)
    generator = torch.Generator().manual_seed(1)
    torch.testing.assert_close(curvature.fisher(objective, samples=5, seed=generator).dense(), first, **CLOSE)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("way", WAYS)
def test_empirical_is_the_mean_of_outer_products_at_the_datas_labels(loss, way):
    objective = problem(loss)
    f = {"cross_entropy": functional.cross_entropy, "mse": functional.mse_loss}[loss]
    gradients = torch.stack([gradient(objective, x, y, f) for x, y in samples(objective)])
    expected = gradients.T @ gradients / N
    torch.testing.assert_close(curvature.empirical_fisher(objective, way=way).dense(), expected, **CLOSE)


def test_of_outputs_with_places_sums_over_them():
    """Class scores (n, C, places): one prediction a place; 4000 draws, and errors of 2 %, tolerance 10 %."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(4, 2, 5, generator=g, dtype=torch.float64), torch.randint(C, (4, 5), generator=g)
    torch.manual_seed(0)
    objective = Objective(torch.nn.Conv1d(2, C, 1, dtype=torch.float64), data=(x, y))
    exact = curvature.fisher(objective).dense()
    sampled = curvature.fisher(objective, samples=4000, seed=0).dense()
    assert (sampled - exact).norm() < 0.1 * exact.norm()


def test_what_has_no_fisher_information_is_refused():
    objective = problem()
    own = Objective(objective.model, loss=functional.cross_entropy, data=objective.batches)
    with pytest.raises(InvalidInput, match="which a loss given as a function does not tell"):
        curvature.fisher(own)
    for options in ({"samples": 0, "seed": 0}, {"samples": 3}):
        with pytest.raises(InvalidInput, match="at least one sample, and a seed"):
            curvature.fisher(objective, **options)
