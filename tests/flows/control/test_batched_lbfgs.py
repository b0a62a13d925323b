"""Batched L-BFGS: minima of many functions, none of which sees another."""

import torch

from lemmata.flows.control import batched_lbfgs

F64 = torch.float64


def _rosenbrock(scale: torch.Tensor):
    def function(x, which):
        x = x.detach().requires_grad_()
        value = (1 - x[:, 0]) ** 2 + scale[which] * (x[:, 1] - x[:, 0] ** 2) ** 2
        (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient

    return function


def test_rosenbrock_valleys():
    scale = torch.tensor([1.0, 10.0, 100.0], dtype=F64)
    start = torch.tensor([[-1.2, 1.0]] * 3, dtype=F64)
    x, value = batched_lbfgs(_rosenbrock(scale), start, iterations=100)
    torch.testing.assert_close(x, torch.ones_like(x), rtol=0, atol=1e-6)
    assert value.max() < 1e-12


def test_a_problem_among_others_is_as_alone_and_never_rises():
    scale = torch.tensor([3.0, 50.0, 7.0], dtype=F64)
    start = torch.tensor([[2.0, -1.0], [-1.0, 3.0], [0.0, 0.5]], dtype=F64)
    last = torch.full((3,), torch.inf, dtype=F64)
    for iterations in range(1, 15):
        x, value = batched_lbfgs(_rosenbrock(scale), start, iterations=iterations)
        assert (value <= last).all()
        last = value
        alone, _ = batched_lbfgs(_rosenbrock(scale), start[:1], iterations=iterations)
        torch.testing.assert_close(alone[0], x[0])


def test_a_function_without_finite_values_stays_where_it_is():
    def function(x, which):
        value = torch.where(which == 0, torch.nan, x.square().sum(1))
        return value, 2 * x

    x, _ = batched_lbfgs(function, torch.ones(2, 3), iterations=5)
    assert torch.equal(x[0], torch.ones(3))
    assert x[1].abs().max() < 1e-6
