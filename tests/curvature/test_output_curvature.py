"""Factors S of the loss's Hessian at the outputs: S S^T against the Hessian by autograd. Tolerances 1e-12, float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lemmata.curvature import NotExact
from lemmata.curvature.output_curvature import largest_rank, output_factor
from lemmata.objective import Objective

N = 4


def objective_of(loss, y):
    outputs = 3
    x = torch.randn(len(y), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.manual_seed(0)
    return Objective(nn.Linear(2, outputs).double(), loss=loss, data=(x, y))


def rebuilt(factor, n, K):
    """sum_j s_j S_j S_j^T of each sample."""
    total = torch.zeros(n, K, K, dtype=torch.float64)
    for j in range(factor.rank):
        column, signs = factor.column(j)
        flat = column.reshape(n, K)
        part = flat[:, :, None] * flat[:, None, :]
        total += part if signs is None else signs[:, None, None] * part
    return total


def by_autograd(loss, z, y):
    n, K = len(z), z[0].numel()
    H = torch.autograd.functional.hessian(lambda v: loss(v.reshape(z.shape), y), z.reshape(-1))
    return torch.stack([H[i * K : (i + 1) * K, i * K : (i + 1) * K] for i in range(n)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-800, 800), min_size=5, max_size=5), min_size=1, max_size=3))
def test_cross_entropy_at_any_logits(logits):
    z = torch.tensor(logits, dtype=torch.float64)
    objective = objective_of("cross_entropy", torch.zeros(N, dtype=torch.long))
    factor = output_factor(objective, z, torch.zeros(len(z), dtype=torch.long))
    p = z.softmax(1)
    wanted = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) / len(z)
    assert factor.rank == 4
    torch.testing.assert_close(rebuilt(factor, len(z), 5), wanted, rtol=1e-10, atol=1e-14)


def test_cross_entropy_of_certain_outputs_keeps_its_small_entries():
    """p_2 = e^-60: formed as p (1 - p) it would be lost where p_1 is 1 up to rounding."""
    z = torch.tensor([[60.0, 0.0, -700.0]], dtype=torch.float64)
    factor = output_factor(objective_of("cross_entropy", torch.zeros(1, dtype=torch.long)), z, torch.tensor([0]))
    H = rebuilt(factor, 1, 3)[0]
    small = torch.exp(torch.tensor(-60.0, dtype=torch.float64))
    torch.testing.assert_close(H[:2, :2], small * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).double(), rtol=1e-9, atol=0)
    assert torch.isfinite(H).all()


def test_cross_entropy_over_places():
    z, y = torch.randn(N, 3, 2, 2, dtype=torch.float64), torch.randint(3, (N, 2, 2))
    factor = output_factor(objective_of("cross_entropy", torch.zeros(N, dtype=torch.long)), z, y)
    torch.testing.assert_close(rebuilt(factor, N, 12), by_autograd(functional.cross_entropy, z, y), rtol=0, atol=1e-12)
    assert factor.rank == largest_rank(objective_of("cross_entropy", y[:, 0, 0]), z.shape[1:]) == 8


def weighted(z, y):
    return functional.cross_entropy(z, y, torch.tensor([1.0, 4.0, 2.0], dtype=z.dtype))


LOSSES = {
    "mse": ("mse", functional.mse_loss, 3),
    "weights of classes": (weighted, weighted, 2),
    "not convex": ((lambda z, y: (torch.cos(z) * y).sum() / len(z)),) * 2 + (3,),
    "indefinite of rank 2": ((lambda z, y: (z[:, 0] * z[:, 1]).mean()),) * 2 + (2,),
    "linear": ((lambda z, y: (z * y).mean()),) * 2 + (0,),
    "of some outputs only": ((lambda z, y: z[:, 1].pow(4).mean()),) * 2 + (1,),
}


@pytest.mark.parametrize("name", LOSSES)
def test_any_loss(name):
    given_loss, loss, rank = LOSSES[name]
    g = torch.Generator().manual_seed(3)
    z = torch.randn(N, 3, generator=g, dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 1]) if loss is weighted else torch.randn(N, 3, generator=g, dtype=torch.float64)
    factor = output_factor(objective_of(given_loss, y), z, y)
    assert factor.rank == rank
    torch.testing.assert_close(rebuilt(factor, N, 3), by_autograd(loss, z, y), rtol=0, atol=1e-12)
    some = factor.rows(slice(1, 3))
    torch.testing.assert_close(rebuilt(some, 2, 3), by_autograd(loss, z, y)[1:3], rtol=0, atol=1e-12)


def test_losses_that_couple_samples_or_do_not_fit_are_refused():
    y = torch.zeros(N, 3, dtype=torch.float64)
    z = torch.randn(N, 3, dtype=torch.float64)
    coupled = objective_of(lambda z, y: (z - z.mean(0)).square().mean(), y)
    with pytest.raises(NotExact, match="couples samples"):
        output_factor(coupled, z, y)
    with pytest.raises(NotExact, match="take 864 bytes, more than memory = 800"):
        output_factor(objective_of(lambda z, y: z.square().mean(), y), z, y, memory=800)
