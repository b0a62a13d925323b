import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from torch import nn

from lemmata import nets
from lemmata.curvature import hessian, top_eigenvalues
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.objective import Objective


def problem(dtype=torch.float64, activation="tanh", n=60):
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, 8, generator=g).to(dtype), torch.randint(4, (n,), generator=g)
    return nets.mlp(8, [12, 10], 4, activation=activation, seed=0, dtype=dtype), "cross_entropy", (x, y)


def dense(subject):
    """The Hessian by differentiating twice, entry by entry: torch's own, not ours."""
    model, _, (x, y) = subject
    names, shapes = zip(*[(n, p.shape) for n, p in model.named_parameters()], strict=True)

    def loss(flat):
        parts = flat.split([s.numel() for s in shapes])
        theta = {n: part.reshape(s) for n, part, s in zip(names, parts, shapes, strict=True)}
        return nn.functional.cross_entropy(torch.func.functional_call(model, theta, (x,)), y)

    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    return torch.autograd.functional.hessian(loss, flat)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_agrees_with_the_dense_hessian(activation):
    subject = problem(activation=activation)
    expected = torch.linalg.eigvalsh(dense(subject))
    for which, values in (
        ("largest", expected.flip(0)[:5]),
        ("smallest", expected[:5]),
        ("magnitude", expected[(-expected.abs()).argsort()][:5]),
    ):
        found = top_eigenvalues(subject, 5, which=which, tolerance=1e-7, seed=0)
        # a Ritz value is off by its residual squared over the gap, which here is 1e-4 of the norm at least
        torch.testing.assert_close(found.value, values, rtol=0, atol=1e-10 * float(expected.abs().max()))
        assert float(found.residuals.max()) <= 1e-7 * float(expected.abs().max())
        assert found.cost == 1 + found.products * hessian(subject).cost


def test_residuals_are_what_they_say():
    subject = problem()
    H, found = dense(subject), top_eigenvalues(subject, 4, tolerance=1e-3, seed=1)
    true = (H @ found.vectors - found.vectors * found.value).norm(dim=0)
    assert (true <= found.residuals * (1 + 1e-9)).all()
    assert (true <= 1e-3 * found.value.max()).all()
    # and nothing was missed (each with probability 0.01 at most, for this seed not)
    exact = torch.linalg.eigvalsh(H).flip(0)[:4]
    torch.testing.assert_close(found.value, exact, rtol=0, atol=2e-3 * float(exact[0]))
    assert found.missed <= 0.01


def test_agrees_with_arpack_through_scipy():
    subject = problem()
    theirs = scipy.sparse.linalg.eigsh(hessian(subject).to_scipy(), k=3, which="LA", return_eigenvectors=False)
    ours = top_eigenvalues(subject, 3, tolerance=1e-8).value
    assert ours.numpy() == pytest.approx(np.sort(theirs)[::-1], rel=1e-9)


def test_a_quadratic_with_a_known_spectrum():
    # mse of a linear map, one output: the Hessian is 2 X^T X / n
    Q = torch.linalg.qr(torch.randn(50, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    spectrum = torch.cat([torch.tensor([9.0, 7.0, 4.0]), torch.linspace(0, 1, 17)]).double()
    x = Q * (spectrum * 25).sqrt()
    found = top_eigenvalues((nn.Linear(20, 1, bias=False).double(), "mse", (x, x[:, :1])), 3, tolerance=1e-8)
    torch.testing.assert_close(found.value, spectrum[:3], rtol=1e-12, atol=0)


def test_float32_serves_for_the_default_tolerance():
    model, loss, (x, y) = problem(torch.float32)
    found = top_eigenvalues((model, loss, (x, y)), 5)
    exact = torch.linalg.eigvalsh(dense((model.double(), loss, (x.double(), y)))).flip(0)[:5]
    torch.testing.assert_close(found.value.double(), exact, rtol=0, atol=1e-3 * float(exact[0]))  # the residual
    with pytest.raises(NotConverged):
        top_eigenvalues(problem(torch.float32), 5, tolerance=1e-9)


def test_a_warm_start_costs_the_vectors_it_has():
    subject = problem()
    cold = top_eigenvalues(subject, 3)
    for start in (cold, cold.vectors):
        warm = top_eigenvalues(subject, 3, start=start)
        assert warm.products == 3
        torch.testing.assert_close(warm.value, cold.value, rtol=1e-9, atol=0)
    assert cold.products > 10


def test_several_batches_are_one_data_set():
    model, loss, (x, y) = problem()
    batches = list(zip(x.split(25), y.split(25), strict=True))
    whole = top_eigenvalues((model, loss, (x, y)), 2, tolerance=1e-8).value
    torch.testing.assert_close(top_eigenvalues((model, loss, batches), 2, tolerance=1e-8).value, whole)


def test_a_direction_is_a_parameter_tree():
    objective = Objective.of(problem())
    found = top_eigenvalues(objective, 2, tolerance=1e-8)
    v = found.direction(1)
    product = objective.hvp(v)
    for name, part in product.items():
        torch.testing.assert_close(part, found.value[1] * v[name], rtol=0, atol=1e-7 * float(found.value[0]))


def test_a_block_has_the_eigenvalues_of_the_block():
    model, loss, data = problem()
    block = Objective(model, loss=loss, data=data).restricted(["output"])
    size = sum(p.numel() for p in model.get_submodule("output").parameters())
    expected = torch.linalg.eigvalsh(dense((model, loss, data))[-size:, -size:])
    found = top_eigenvalues(block, 2, tolerance=1e-8)
    torch.testing.assert_close(found.value, expected.flip(0)[:2], rtol=1e-9, atol=0)


def test_the_figure_says_how_sure_it_is():
    figure = top_eigenvalues(problem(), 3, which="smallest").plot()
    series = figure.panels[0].series[0]
    assert len(series.x) == 3
    assert (series.low <= series.y).all()
    assert "products with the Hessian" in figure.caption


def test_more_eigenvalues_than_parameters_are_refused():
    with pytest.raises(InvalidInput, match="k must be between 1 and 2"):
        top_eigenvalues((nn.Linear(1, 1), "mse", (torch.ones(3, 1), torch.ones(3, 1))), 3)
    with pytest.raises(NotConverged, match="4 products were not enough"):
        top_eigenvalues(problem(), 2, max_products=4)
