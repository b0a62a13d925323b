"""Bias and variance against the formula by dense matrices, and against simulation within five standard errors."""

import math

import pytest
import torch
from tests.regression.regularisation.systems import F64, random_system

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.phantoms.ill_posed import ill_posed
from lemmata.regression.regularisation import bias_variance, ridge_path, truncated_svd_path
from lemmata.regression.regularisation.differences import differences

VALUES = torch.logspace(-3, 2, 11, dtype=F64)


@pytest.mark.parametrize("shape", [(12, 7), (7, 7), (5, 7)])
@pytest.mark.parametrize("order", [0, 1])
def test_it_is_the_formula(shape, order):
    A, _ = random_system(*shape)
    L = differences(7, order) if order else torch.eye(7, dtype=F64)
    truth = torch.linspace(-1, 2, 7, dtype=F64).square()
    found = bias_variance(A, truth, 0.3, VALUES, L=L)
    predicted = bias_variance(A, truth, 0.3, VALUES, L=L, of="prediction")
    for i, lam in enumerate(VALUES.tolist()):
        A_lam = torch.linalg.inv(A.T @ A + lam * L.T @ L)
        off = lam * A_lam @ L.T @ L @ truth
        assert float(found.bias[i]) == pytest.approx(float(off.square().sum()), rel=1e-8)
        assert float(predicted.bias[i]) == pytest.approx(float((A @ off).square().sum()), rel=1e-7, abs=1e-12)
        H = A_lam @ A.T
        assert float(found.variance[i]) == pytest.approx(0.09 * float((H.T @ H).trace()), rel=1e-8)
        assert float(predicted.variance[i]) == pytest.approx(0.09 * float((A @ H).square().sum()), rel=1e-8)


@pytest.mark.parametrize("of", ["solution", "prediction"])
@pytest.mark.parametrize("order", [0, 2])
def test_simulation_agrees(of, order):
    """44 means within 5 standard errors: chance of a false alarm 3e-5, with the seed none."""
    problem = ill_posed("phillips", 24)
    L = differences(24, order) if order else None
    found = bias_variance(problem.A, problem.x, problem.noise_level(0.05), VALUES, L=L, of=of)
    samples = found.simulate(1000, seed=0)
    assert samples.shape == (1000, 11)
    gap = (samples.mean(0) - found.total) / (samples.std(0) / 1000**0.5)
    assert gap.abs().max() < 5
    assert torch.equal(samples, found.simulate(1000, seed=0))
    assert not torch.equal(samples, found.simulate(1000, seed=1))


def test_bias_rises_variance_falls_and_the_best_lies_between():
    problem = ill_posed("shaw", 40)
    found = bias_variance(problem.A, problem.x, problem.noise_level(0.01))
    assert (found.bias.diff() > 0).all()
    assert (found.variance.diff() < 0).all()
    assert found.values[0] < found.best < found.values[-1]
    assert found.least <= float(found.total.min())
    assert found.least == pytest.approx(float(found.total.min()), rel=1e-2)


def test_without_noise_there_is_no_variance_and_other_filters_have_both():
    problem = ill_posed("heat", 32)
    assert bias_variance(problem.A, problem.x, 0.0).variance.abs().max() == 0
    path = truncated_svd_path(problem.A, problem.b)
    found = bias_variance(path, problem.x, 0.01)
    assert found.best in path.values
    assert (found.bias.diff() <= 1e-12).all()
    _, s, Vh = torch.linalg.svd(problem.A)
    assert float(found.variance[4]) == pytest.approx(1e-4 * float((1 / s[:5] ** 2).sum()), rel=1e-10)
    assert float(found.bias[4]) == pytest.approx(float((Vh[5:] @ problem.x).square().sum()), rel=1e-8)


def test_it_draws_itself():
    problem = ill_posed("gravity", 24)
    found = bias_variance(problem.A, problem.x, 0.1)
    assert len(found.plot(found.simulate(20)).panels[0].series) == 4
    assert static.render(found.plot()).startswith("<svg")


def test_what_is_refused():
    A, b = random_system()
    truth = torch.ones(7, dtype=F64)
    for noise in (-0.1, math.nan, math.inf):
        with pytest.raises(InvalidInput, match="standard deviation is 0 or more"):
            bias_variance(A, truth, noise)
    with pytest.raises(InvalidInput, match=r"the truth has shape \(6,\); give \(7,\)"):
        bias_variance(A, truth[1:], 0.1)
    with pytest.raises(InvalidInput, match="finite"):
        bias_variance(ridge_path(A, b), truth * math.nan, 0.1)
    with pytest.raises(UnknownName, match="did you mean 'solution'"):
        bias_variance(A, truth, 0.1, of="solutions")
    with pytest.raises(InvalidInput, match="at least one"):
        bias_variance(A, truth, 0.1).simulate(0)
