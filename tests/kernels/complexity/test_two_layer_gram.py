"""The Gram matrix of a two-layer ReLU network against mpmath, wide random networks and its own theory."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.conformance import flat
from lemmata.errors import InvalidInput
from lemmata.kernels import analytic_nngp, two_layer_gram
from lemmata.kernels.regression import entries


def points(n: int, d: int = 4, seed: int = 0, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def exact(x, z):
    """The definition in 60 digits."""
    with mpmath.workdps(60):
        a, b = ([mpmath.mpf(float(v)) for v in part] for part in (x, z))
        dot = mpmath.fsum(u * v for u, v in zip(a, b, strict=True))
        norms = mpmath.sqrt(mpmath.fsum(u * u for u in a) * mpmath.fsum(v * v for v in b))
        cosine = min(max(dot / norms, -1), 1)
        return float(dot * (mpmath.pi - mpmath.acos(cosine)) / (2 * mpmath.pi))


def test_agrees_with_sixty_digits():
    x = points(12)
    found = two_layer_gram(x).values
    wanted = [[exact(a, b) for b in x] for a in x]
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9])
def test_near_and_nearly_opposite_points_keep_their_digits(size):
    x = points(6)
    for sign in (1, -1):
        z = sign * x + size * points(6, seed=1)
        found = two_layer_gram(x, z).values.diagonal()
        # against x.z / 2 (or 0) the difference is of the order of the angle, which has to be right itself
        limit = (x * z).sum(1) / 2 if sign == 1 else torch.zeros(6)
        wanted = torch.tensor([exact(a, b) for a, b in zip(x, z, strict=True)], dtype=torch.float64)
        np.testing.assert_allclose(found - limit, wanted - limit, rtol=1e-5, atol=1e-15)


def test_float32_is_rounded_once():
    x = points(40, d=20, dtype=torch.float32)
    single, double = two_layer_gram(x).values, two_layer_gram(x.double()).values
    assert single.dtype == torch.float32
    assert single.equal(double.float())


def test_blocks_agree_with_the_whole(monkeypatch):
    x, z = points(50), points(30, seed=1)
    whole, beside = two_layer_gram(x).values, two_layer_gram(x, z).values
    monkeypatch.setattr(entries, "BLOCK", 13)
    np.testing.assert_allclose(two_layer_gram(x).values, whole, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(two_layer_gram(x, z).values, beside, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(two_layer_gram(torch.cat([x, z])).values[:50, 50:], beside, rtol=1e-13, atol=1e-15)


def test_is_the_mean_over_random_weights():
    """200,000 weights: each entry within 5 standard errors; 100 entries, failing by chance with 6e-5."""
    x = points(10)
    on = (x @ torch.randn(4, 200_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64) >= 0).double()
    share = on @ on.T / 200_000
    dots = x @ x.T
    error = (share * (1 - share) / 200_000).sqrt() * dots.abs()
    assert ((two_layer_gram(x).values - dots * share).abs() <= 5 * error + 1e-12).all()


def test_is_the_derivative_half_of_the_analytic_kernel():
    """x.z times the covariance of relu's derivatives; relu's own covariance adds sin to it (Cho and Saul)."""
    from lemmata.kernels import FullyConnected

    x = points(15)
    x = x / x.norm(dim=1, keepdim=True)
    c = (x @ x.T).clamp(-1, 1)
    nngp = analytic_nngp(x, network=FullyConnected(depth=2, weight_variance=1.0)).values
    scale = float(nngp[0, 0] / 0.5)  # whatever the scaling of inputs in the network's law
    np.testing.assert_allclose(two_layer_gram(x).values, nngp / scale - (1 - c**2).sqrt() / (2 * torch.pi), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 30), d=st.integers(1, 6), seed=st.integers(0, 2**31))
def test_is_positive_semidefinite_and_scales_with_the_points(n, d, seed):
    x = points(n, d, seed)
    H = two_layer_gram(x).values
    assert H.equal(H.T)
    assert float(torch.linalg.eigvalsh(H)[0]) > -1e-14 * n * float(H.diagonal().max())
    np.testing.assert_allclose(H.diagonal(), x.square().sum(1) / 2, rtol=1e-14)
    scale = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.5
    np.testing.assert_allclose(
        two_layer_gram(scale[:, None] * x).values, scale * H * scale[:, None], rtol=1e-12, atol=1e-14
    )


def test_is_singular_for_positive_multiples_and_not_for_one_opposite_pair():
    x = points(8)
    lam = lambda points: float(torch.linalg.eigvalsh(two_layer_gram(points).values)[0])  # noqa: E731
    assert lam(x) > 1e-3
    assert abs(lam(torch.cat([x, 2 * x[:1]]))) < 1e-14
    assert lam(torch.cat([x, -x[:1]])) > 1e-4
    plane = points(3, d=2)
    assert abs(lam(torch.cat([plane, -plane]))) < 1e-14  # three constant features of two dimensions
    assert lam(torch.cat([plane[:2], -plane[:2]])) > 1e-3


def test_leaves_its_inputs_alone():
    x = points(5).requires_grad_()
    before = x.detach().clone()
    found = two_layer_gram(x)
    assert not found.values.requires_grad
    assert flat(x.detach()).equal(flat(before))


@pytest.mark.parametrize(
    ("x", "z", "message"),
    [
        (torch.zeros(2, 2), None, "point 0 of x is zero"),
        (torch.ones(2, 2), torch.tensor([[1.0, 0], [0, 0]]), "point 1 of z is zero"),
        (torch.ones(2), None, r"x of shape \(2,\)"),
        (torch.ones(0, 2), None, "x of shape"),
        (torch.ones(2, 2, dtype=torch.long), None, "expected floating-point"),
        (torch.tensor([[float("nan")]]), None, "not finite"),
        (torch.ones(2, 2), torch.ones(2, 3), "must go together"),
        (torch.ones(2, 2), torch.ones(2, 2).double(), "must go together"),
    ],
)
def test_what_cannot_be_used_is_named(x, z, message):
    with pytest.raises(InvalidInput, match=message):
        two_layer_gram(x, z)
