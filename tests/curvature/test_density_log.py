import math

import pytest
import torch

from lemmata.curvature import Density
from lemmata.errors import InvalidInput
from lemmata.linalg import LinearOperator, lanczos_quadrature


def of_matrix(A, *, steps, probes, seed=0):
    operator = LinearOperator.of(A)
    return Density.of(lanczos_quadrature(operator, steps=steps, probes=probes, seed=seed), operator)


def by_hand(nodes, weights, size=100, eps=1e-16):
    rows = [torch.tensor([values] * 2, dtype=torch.float64) for values in (nodes, weights)]
    return Density(*rows, size=size, eps=eps)


def test_each_node_is_a_gaussian_in_the_exponent_on_its_own_side():
    density = by_hand([-0.01, 0.0, 1.0], [0.2, 0.5, 0.3])
    log = density.log(torch.tensor([-2.0, 0.0, -1.9]), width=0.1)
    peak = 1 / (0.1 * math.sqrt(2 * math.pi))
    assert torch.allclose(log.positive.value, torch.tensor([0, 0.3 * peak, 0], dtype=torch.float64), atol=1e-12)
    expected = torch.tensor([0.2 * peak, 0, 0.2 * peak * math.exp(-0.5)], dtype=torch.float64)
    assert torch.allclose(log.negative.value, expected, atol=1e-7)
    assert float(log.zero.value) == pytest.approx(0.5)
    assert log.resolution == pytest.approx(1.0)  # from the node at 0 to the next above
    assert log.rounding == pytest.approx(1e-16)


def test_the_parts_add_up_to_one():
    A = torch.randn(200, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    density = of_matrix((A + A.T) / 20, steps=20, probes=5)
    log = density.log()
    step = float(log.exponents[1] - log.exponents[0])
    share = float((log.positive.value + log.negative.value).sum() * step + log.zero.value)
    # the grid starts and ends four widths beyond the nodes: 3e-5 of a bump, and a Riemann sum of width / step points
    assert share == pytest.approx(1.0, abs=1e-3)
    # half of a symmetric spectrum is negative: probes' deviation below 0.05
    assert float(log.negative.value.sum() * step) == pytest.approx(0.5, abs=0.1)


def test_a_power_law_is_flat_in_the_exponent():
    # 300 eigenvalues evenly spaced in log10 from 1e-2 to 1: density 1/2 per decade between
    values = torch.logspace(-2, 0, 300, dtype=torch.float64)
    Q = torch.linalg.qr(torch.randn(300, 300, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    A = (Q * values) @ Q.T
    log = of_matrix((A + A.T) / 2, steps=80, probes=40).log(torch.linspace(-1.6, -0.4, 20), width=0.15)
    # 40 probes: sqrt(2 / (40 * 300 * 0.5 * 0.53)) = 2.5 %; five of those
    assert torch.allclose(log.positive.value, torch.full((20,), 0.5, dtype=torch.float64), rtol=0.13)
    assert not log.negative.value.any()
    z = (log.positive.value - 0.5) / log.positive.stderr
    assert 0.1 < float(z.square().mean()) < 4


def test_one_step_is_enough_for_a_density():
    log = of_matrix(torch.eye(5, dtype=torch.float64), steps=1, probes=2).log()
    assert bool(log.positive.value.isfinite().all())


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="width = 0: the Gaussian needs a positive width in decades"):
        by_hand([1.0], [1.0]).log(width=0)
