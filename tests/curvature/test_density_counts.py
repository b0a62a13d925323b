import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.curvature import Density
from lemmata.linalg import LinearOperator, lanczos_quadrature
from lemmata.linalg.probes import generator_of, random_vectors


def of_matrix(A, *, steps, probes, seed=0):
    operator = LinearOperator.of(A)
    return Density.of(lanczos_quadrature(operator, steps=steps, probes=probes, seed=seed), operator)


def rotated(values, seed=0):
    n = len(values)
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    A = (Q * torch.as_tensor(values, dtype=torch.float64)) @ Q.T
    return (A + A.T) / 2


def spiked(spikes, n=1200, p=400, seed=0):
    """A sample covariance (p, p) of n samples whose covariance is the identity but for `spikes` eigenvalues."""
    g = torch.Generator().manual_seed(seed)
    scales = torch.ones(p, dtype=torch.float64)
    scales[: len(spikes)] = torch.tensor(spikes, dtype=torch.float64).sqrt()
    X = torch.randn(n, p, generator=g, dtype=torch.float64) * scales
    return X.T @ X / n


@given(st.integers(0, 10_000), st.integers(2, 15), st.floats(-1.2, 2.2))
@settings(max_examples=60, deadline=None)
def test_the_bounds_hold_for_the_measures_of_the_probes(seed, m, threshold):
    values = torch.rand(40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3 - 1
    A = rotated(values, seed)
    density = of_matrix(A, steps=m, probes=3, seed=seed)
    spectrum, vectors = torch.linalg.eigh(A)
    Z = random_vectors(LinearOperator.of(A), 3, generator=generator_of(seed))
    shares = ((vectors.T @ Z).square() / 40)[spectrum > threshold].sum(0)  # mu_z((t, inf)) of each probe
    counts = density.above(threshold)
    assert counts.least - 1e-9 <= 40 * float(shares.mean()) <= counts.most + 1e-9
    assert counts.least <= counts.value + 1e-9
    assert counts.value <= counts.most + 1e-9
    assert int(counts.found) <= int((spectrum > threshold).sum())  # Cauchy's interlacing theorem


def test_a_vector_of_thresholds_is_answered_entry_by_entry():
    density = of_matrix(rotated(np.linspace(-1, 1, 50)), steps=10, probes=4)
    thresholds = torch.tensor([-0.5, 0.0, 0.9], dtype=torch.float64)
    together = density.above(thresholds)
    for i, t in enumerate(thresholds):
        alone = density.above(float(t))
        for name in ("value", "stderr", "least", "most", "found"):
            assert torch.allclose(getattr(together, name)[i].double(), getattr(alone, name).double())
    assert density.above(-2.0).value == pytest.approx(50)
    assert density.above(2.0).most == pytest.approx(0, abs=1e-12) or density.above(2.0).most < 10


def test_intervals_hold_the_number_of_eigenvalues():
    values = np.concatenate([np.linspace(-1, 1, 180), np.linspace(1.1, 3, 20)])
    A, hits = rotated(values), 0
    for seed in range(100):
        low, high = of_matrix(A, steps=8, probes=6, seed=seed).above(1.05).interval(0.95)
        hits += bool(low <= 20 <= high)
    # the quadrature's own bounds make them wider than 95 %: at most 5 of 100 missed, 5 standard deviations are 11 more
    assert hits >= 85


def test_planted_outliers_are_counted_and_stand_where_theory_says():
    # Baik, Ben Arous, Peche: a spike l > 1 + sqrt(gamma) gives the eigenvalue l (1 + gamma / (l - 1))
    spikes, gamma = [12.0, 9.0, 7.0, 5.0, 3.5], 1 / 3
    A = spiked(spikes)
    density = of_matrix(A, steps=60, probes=8)
    outliers = density.outliers()
    assert len(outliers.values) == int(outliers.count.found) == 5
    theory = torch.tensor([spike * (1 + gamma / (spike - 1)) for spike in spikes], dtype=torch.float64)
    # fluctuations l sqrt(2 / n) = 4 %; five of those
    assert torch.allclose(outliers.values, theory, rtol=0.2)
    assert torch.allclose(outliers.values, torch.linalg.eigvalsh(A).flip(0)[:5], rtol=1e-6)
    # the edge of the bulk by Marchenko and Pastur, up to the spacing that counts as isolated, 0.26
    assert outliers.beyond == pytest.approx((1 + math.sqrt(gamma)) ** 2, abs=0.26)
    low, high = outliers.count.interval(0.999)
    assert low < 5 < high


def test_without_outliers_none_are_found():
    density = of_matrix(spiked([]), steps=60, probes=8)
    # of 400 eigenvalues one is expected within 0.055 of the edge of Marchenko and Pastur, 2.4 % of the range
    assert density.edge() == pytest.approx((1 + math.sqrt(1 / 3)) ** 2, abs=0.1)
    assert len(density.outliers().values) <= 1


def test_a_spike_below_the_transition_is_not_an_outlier():
    # 1.3 < 1 + sqrt(1/3) = 1.577: the eigenvalue stays in the bulk
    assert len(of_matrix(spiked([1.3]), steps=60, probes=8).outliers().values) <= 1


def test_a_threshold_of_ones_own():
    density = of_matrix(spiked([12.0, 9.0, 7.0]), steps=40, probes=8)
    outliers = density.outliers(beyond=8.5)
    assert (len(outliers.values), outliers.beyond) == (2, 8.5)
    assert torch.equal(outliers.values, outliers.values.sort(descending=True).values)


def test_zero_weights_of_an_exhausted_space_are_no_eigenvalues():
    density = of_matrix(torch.diag(torch.tensor([1.0, 1.0, 1.0, 5.0], dtype=torch.float64)), steps=4, probes=3)
    assert int(density.above(4.0).found) == 1
    assert density.above(-1.0).value == pytest.approx(4)
    assert density.range == pytest.approx((1.0, 5.0))
