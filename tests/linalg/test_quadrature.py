import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.linalg import LinearOperator, lanczos_quadrature
from lemmata.linalg import quadrature as quadrature_file
from lemmata.linalg.orthogonality import LossOfOrthogonality
from lemmata.linalg.probes import generator_of, random_vectors


def with_spectrum(values, seed=0):
    """A dense symmetric matrix with these eigenvalues."""
    n = len(values)
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    A = (Q * torch.as_tensor(values, dtype=torch.float64)) @ Q.T
    return (A + A.T) / 2


def outliers_and_bulk(n=400, outliers=10):
    """Ten outliers from 5 to 20 beyond a bulk on [-0.1, 0.1]: they converge at once, and ghosts would follow."""
    return np.concatenate([np.linspace(5, 20, outliers), np.linspace(-0.1, 0.1, n - outliers)])


@given(st.integers(0, 10_000), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_the_first_2m_minus_1_moments_are_those_of_the_probe(seed, m):
    values = torch.rand(60, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3 - 1
    A = with_spectrum(values, seed)
    quadrature = lanczos_quadrature(A, steps=m, probes=3, seed=seed)
    Z = random_vectors(LinearOperator.of(A), 3, generator=generator_of(seed))
    power = Z
    for k in range(2 * m):
        exact = (Z * power).sum(0) / 60  # z^T A^k z / |z|^2
        ours = (quadrature.weights * quadrature.nodes**k).sum(1)
        # eigenvalues are below 2 in size: 1e-9 of the largest moment possible, far above rounding of 1e-13
        assert torch.allclose(ours, exact, rtol=0, atol=1e-9 * 2.0**k)
        power = A @ power
    beyond = (quadrature.weights * quadrature.nodes ** (2 * m)).sum(1) - (Z * power).sum(0) / 60
    assert float(beyond.abs().max()) > 1e-12  # and no more: the next one is not exact


def test_nodes_are_the_eigenvalues_and_weights_the_squared_components_after_n_steps():
    values = np.array([-2.0, -1.0, 0.5, 1.0, 3.0, 7.0])
    A = with_spectrum(values)
    quadrature = lanczos_quadrature(A, steps=50, probes=2, seed=0)
    Z = random_vectors(LinearOperator.of(A), 2, generator=generator_of(0))
    vectors = torch.linalg.eigh(A)[1]
    assert torch.allclose(quadrature.nodes, torch.tensor(values).expand(2, -1), atol=1e-12)
    assert torch.allclose(quadrature.weights, ((vectors.T @ Z) ** 2 / 6).T, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_there_are_no_ghosts(dtype):
    values = outliers_and_bulk()
    A = with_spectrum(values).to(dtype)
    A = (A + A.T) / 2
    quadrature = lanczos_quadrature(A, steps=80, probes=6, seed=0)
    for top in values[:10]:
        near = (quadrature.nodes - top).abs() < 1e-3 * top
        assert (near.sum(1) == 1).all()
    # the recurrence alone has more than one copy of them within these steps: what is tested can fail
    assert 0 < quadrature.reorthogonalisations < 60
    assert _nodes_without_care(A, 80, top=20.0) > 1


def _nodes_without_care(A, m, top):
    v, before, beta, a, b = torch.ones(len(A)).to(A), torch.zeros(len(A)).to(A), 0.0, [], []
    v = v / v.norm()
    for _ in range(m):
        w = A @ v - beta * before
        a.append(float(v @ w))
        w = w - a[-1] * v
        beta = float(w.norm())
        b.append(beta)
        before, v = v, w / beta
    nodes = np.linalg.eigvalsh(np.diag(a) + np.diag(b[:-1], 1) + np.diag(b[:-1], -1))
    return int((np.abs(nodes - top) < 1e-3 * top).sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_nodes_are_those_of_full_reorthogonalisation(dtype):
    A = with_spectrum(outliers_and_bulk(200)).to(dtype)
    A = (A + A.T) / 2
    quadrature = lanczos_quadrature(A, steps=40, probes=1, seed=3)
    z = random_vectors(LinearOperator.of(A), 1, generator=generator_of(3))[:, 0].double()
    nodes, vectors = torch.linalg.eigh(_projected(A.double(), z, 40))
    # outliers to a few eps |A| (|A| = 20): the bulk's nodes depend on the rounding of the vectors, their measure not
    eps = torch.finfo(dtype).eps
    assert torch.allclose(quadrature.nodes[0, -10:], nodes[-10:], rtol=0, atol=200 * eps * 20)
    for f in (torch.exp, torch.sin, lambda x: x**3):
        ours, exact = (quadrature.weights[0] * f(quadrature.nodes[0])).sum(), (vectors[0] ** 2 * f(nodes)).sum()
        assert float(ours) == pytest.approx(float(exact), rel=1000 * eps, abs=1000 * eps)


def _projected(A, z, m):
    """The projection (m, m) of A on the Krylov space of z, by a basis made orthogonal in full."""
    basis = z[:, None] / z.norm()
    for _ in range(m - 1):
        w = A @ basis[:, -1]
        for _ in range(2):
            w = w - basis @ (basis.T @ w)
        basis = torch.cat([basis, w[:, None] / w.norm()], 1)
    return basis.T @ A @ basis


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_vectors_stay_semi_orthogonal(dtype, monkeypatch):
    kept, orthogonalise = [], quadrature_file._orthogonalise

    def watch(V):
        kept.append(float((V[:, :-1].double() @ V[:, :-1].double().mT - torch.eye(V.shape[1] - 1)).abs().max()))
        return orthogonalise(V)

    monkeypatch.setattr(quadrature_file, "_orthogonalise", watch)
    A = with_spectrum(outliers_and_bulk()).to(dtype)
    lanczos_quadrature((A + A.T) / 2, steps=80, probes=4, seed=1)
    # all vectors up to the one before the loss was seen; the recurrence is an estimate, so a factor of ten
    assert max(kept) < 10 * torch.finfo(dtype).eps ** 0.5


def test_an_exhausted_krylov_space_leaves_weights_of_zero():
    A = torch.diag(torch.tensor([1.0, 1.0, 1.0, 4.0, 4.0, 9.0], dtype=torch.float64))
    quadrature = lanczos_quadrature(A, steps=6, probes=4, seed=0)
    for value, share in ((1.0, 1 / 2), (4.0, 1 / 3), (9.0, 1 / 6)):
        near = (quadrature.nodes - value).abs() < 1e-9
        assert torch.allclose((quadrature.weights * near).sum(1), torch.full((4,), share, dtype=torch.float64))
    zero = lanczos_quadrature(torch.zeros(5, 5), steps=3, probes=2, seed=0)
    assert not zero.nodes.any()
    assert torch.allclose(zero.weights.sum(1), torch.ones(2, dtype=torch.float64))


def test_one_probe_exhausted_before_the_others_does_not_disturb_them():
    A = torch.block_diag(torch.eye(2).double(), with_spectrum(np.linspace(2, 3, 20)))
    A = (A + A.T) / 2
    quadrature = lanczos_quadrature(A, steps=15, probes=5, seed=0)
    generator = generator_of(0)
    alone = [lanczos_quadrature(A, steps=15, probes=1, seed=generator) for _ in range(5)]
    for k in range(5):
        assert torch.allclose(quadrature.nodes[k], alone[k].nodes[0], atol=1e-9)
        assert torch.allclose(quadrature.weights[k], alone[k].weights[0], atol=1e-9)


def test_a_probe_that_is_an_eigenvector_stops_at_once_and_the_others_go_on_without_ghosts():
    values = outliers_and_bulk()
    A = with_spectrum(values)
    vector = torch.linalg.eigh(A)[1][:, -1]
    Z = torch.stack([vector, random_vectors(LinearOperator.of(A), 1, generator=generator_of(0))[:, 0]])
    a, b, _ = quadrature_file._tridiagonal(LinearOperator.of(A), Z, 80)
    assert a[0, 0] == pytest.approx(20, rel=1e-12)
    # the rounding of an eigenvector is either seen as exhaustion or made orthogonal: never a second copy
    nodes, weights = quadrature_file._gauss(a, b)
    assert (((nodes - 20).abs() < 0.02).sum(1) == 1).all()
    assert float(weights[0, nodes[0].argmax()]) == pytest.approx(1, abs=1e-12)


def test_memory_bounds_the_bases_and_not_the_answer():
    A, widths = with_spectrum(np.linspace(-1, 2, 50)), []

    def apply(V):
        widths.append(V.shape[1])
        return A @ V

    operator = LinearOperator(apply, (50, 50), symmetric=True, dtype=torch.float64)
    for_two = 2 * (10 + 4) * 50 * 8
    little = lanczos_quadrature(operator, steps=10, probes=5, memory=for_two, seed=0)
    assert sorted(set(widths)) == [1, 2]
    assert little.products == 50
    assert torch.allclose(little.nodes, lanczos_quadrature(A, steps=10, probes=5, seed=0).nodes, atol=1e-12)
    with pytest.raises(InvalidInput, match="more memory"):
        lanczos_quadrature(operator, steps=10, probes=5, memory=for_two // 2 - 1, seed=0)


def test_the_input_of_an_operator_that_returns_it_is_not_written_over():
    identity = LinearOperator(lambda V: V, (20, 20), symmetric=True, dtype=torch.float64)
    quadrature = lanczos_quadrature(identity, steps=5, probes=2, seed=0)
    assert torch.allclose((quadrature.weights * quadrature.nodes).sum(1), torch.ones(2, dtype=torch.float64))


def test_the_recurrence_follows_the_loss_that_there_is():
    # plain Lanczos in float32 on a spectrum with an outlier: the estimate is above the true loss, and not by decades
    A = with_spectrum(np.concatenate([[10.0], np.linspace(0, 1, 199)])).float()
    v = torch.ones(200) / 200**0.5
    loss, V, beta = LossOfOrthogonality(1, 12, 200, eps=torch.finfo(torch.float32).eps), [v], 0.0
    for j in range(11):
        w = A @ V[j] - (beta * V[j - 1] if j else 0)
        alpha = float(V[j] @ w)
        w = w - alpha * V[j]
        beta = float(w.norm())
        loss.advance(np.array([alpha]), np.array([beta]))
        V.append(w / beta)
        true = float((torch.stack(V[:-1]).double() @ V[-1].double()).abs().max())
        assert true < np.abs(loss.now[0, : j + 1]).max() < 3000 * true + 1e-5


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="symmetric=True"):
        lanczos_quadrature(LinearOperator(lambda V: V, (3, 3)), seed=0)
    with pytest.raises(InvalidInput, match="steps = 0, probes = 2"):
        lanczos_quadrature(torch.eye(3), steps=0, probes=2, seed=0)
    with pytest.raises(InvalidInput, match="square operator"):
        lanczos_quadrature(torch.ones(2, 3), seed=0)


def test_it_draws_itself():
    figure = lanczos_quadrature(with_spectrum(np.linspace(0, 1, 20)), steps=5, probes=2, seed=0).plot()
    assert len(figure.panels[0].series) == 2
