import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.linalg import LinearOperator
from lemmata.linalg.factorisation import Factorisation
from lemmata.linalg.missed import missed_probability


def largest(theta):
    return -theta


def grown_from(values, b, steps, rows=1000):
    n = len(values)
    operator = LinearOperator(lambda V: values[:, None] * V, (n, n), symmetric=True, dtype=torch.float64)
    grown = Factorisation(operator, b[None], rows=rows)
    while grown.products < steps:
        if grown.full:
            theta, S = torch.linalg.eigh((grown.H + grown.H.T) / 2)
            grown.restart(theta.flip(0), S.flip(1), keep=grown.m // 2)
        grown.step()
    return grown


@given(seed=st.integers(0, 10_000), steps=st.integers(2, 14), rows=st.sampled_from([8, 100]))
@settings(max_examples=50, deadline=None)
def test_the_start_has_no_more_along_any_eigenvector_than_the_identity_allows(seed, steps, rows):
    # |<u, b>| <= c / |psi(lambda)| for every eigenpair of a diagonal matrix, with restarts (rows = 8) and without
    g = torch.Generator().manual_seed(seed)
    values = torch.randn(30, generator=g, dtype=torch.float64)
    b = torch.randn(30, generator=g, dtype=torch.float64)
    b = b / b.norm()
    grown = grown_from(values, b, steps, rows)
    theta = torch.cat([torch.linalg.eigvalsh((grown.H + grown.H.T) / 2), grown.dropped])
    log_bound = grown.log_c - (values[:, None] - theta).abs().log().sum(1)
    assert (b.abs().log() <= log_bound + 1e-6).all()


def test_it_bounds_how_often_an_eigenvalue_is_missed():
    # of 1,000 random starts, those that hide an eigenvalue at 2 so well that the bound allows it are as few as it says
    values = torch.cat([torch.tensor([3.0, 2.0]), torch.linspace(0, 1, 198)]).double()
    g, level, hidden = torch.Generator().manual_seed(0), 0.05, 0
    for _ in range(1000):
        b = torch.randn(200, generator=g, dtype=torch.float64)
        b = b / b.norm()
        grown = grown_from(values, b, 5)
        theta = torch.linalg.eigvalsh((grown.H + grown.H.T) / 2)
        reach = math.exp(grown.log_c - float((2.0 - theta).abs().log().sum()))
        hidden += math.sqrt(2 * 200 / math.pi) * reach <= level
    # binomial of 1,000 and 0.05: mean 50, deviation 6.9; five of them. It must also happen, or it was not tested
    assert 0 < hidden <= 50 + 35


def test_the_bound_is_the_least_over_the_region():
    theta = torch.tensor([5.0, 4.0, 2.5, 1.0, 0.2], dtype=torch.float64)
    slack, k, n, log_c = 0.05, 3, 50, math.log(1e-4)
    grid = torch.linspace(2.5 + slack, 100, 400_001, dtype=torch.float64)
    gaps = (grid[:, None] - theta).abs()
    worst = float(gaps[gaps.min(1).values >= slack].log().sum(1).min())
    expected = math.sqrt(2 * n / math.pi) * math.exp(log_c - worst)
    bound = missed_probability(theta, theta[:0], log_c, k=k, n=n, order=largest, slack=slack)
    assert expected == pytest.approx(bound, rel=1e-2)  # the grid misses the ends of the gaps by 1e-4 of 0.05
    assert expected <= bound * (1 + 1e-9)


def test_magnitude_looks_on_both_sides():
    theta = torch.tensor([3.0, 1.0], dtype=torch.float64)
    bound = missed_probability(theta, theta[:0], math.log(1e-3), k=1, n=10, order=lambda x: -x.abs(), slack=0.1)
    at = [abs(x - 3.0) * abs(x - 1.0) for x in (3.1, -3.1)]
    assert bound == pytest.approx(math.sqrt(20 / math.pi) * 1e-3 / min(at), rel=1e-9)


def test_nothing_is_missed_when_the_space_is_exhausted():
    theta = torch.tensor([3.0, 1.0], dtype=torch.float64)
    assert missed_probability(theta, theta[:0], -math.inf, k=1, n=10, order=largest, slack=0.1) == 0.0
    assert missed_probability(theta, theta[:0], 50.0, k=1, n=10, order=largest, slack=0.1) == 1.0
    assert np.isfinite(missed_probability(theta, theta, 0.0, k=2, n=10, order=largest, slack=0.1))
