"""How the Hessian's products are chosen, kept and refused. What they are is tested in `test_operators`."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lemmata import curvature, nets
from lemmata.curvature.linear import choice, products
from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective

CLOSE = {"rtol": 0, "atol": 1e-12}  # the same sums in float64, of order one, in another order
WAYS = ["double backward", "linearize"]
N = 12


def objective(chunk=4, model=None, **options):
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(N, 4, generator=g, dtype=torch.float64), torch.randint(3, (N,), generator=g)
    model = model or nets.mlp(4, [5], 3, activation="tanh", seed=0, dtype=torch.float64)
    return Objective(model, data=(x, y), chunk=chunk, **options)


@pytest.mark.parametrize("way", WAYS)
def test_batches_beyond_the_memory_are_built_anew_and_the_product_is_the_same(way):
    full = curvature.hessian(objective(), way=way)
    assert (full.way.kept, full.way.batches) == (3, 3)
    part = curvature.hessian(objective(), way=way, memory=full.way.bytes * 2 // 3 + 8)
    assert 0 < part.way.kept < part.way.batches
    assert part.way.bytes <= full.way.bytes * 2 // 3 + 8
    torch.testing.assert_close(part.dense(), full.dense(), **CLOSE)


def test_batches_are_split_to_fit_in_memory_and_refused_where_they_cannot_be():
    whole = curvature.hessian(objective(chunk=N))
    assert whole.way.batches == 1
    split = curvature.hessian(objective(chunk=N), memory=1500)
    assert split.way.batches > 1
    assert split.way.bytes <= 1500
    torch.testing.assert_close(split.dense(), whole.dense(), **CLOSE)
    with pytest.raises(InvalidInput, match="one sample needs about"):
        curvature.hessian(objective(), memory=100)
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    with pytest.raises(InvalidInput, match="not to be split in training mode"):
        curvature.hessian(objective(chunk=N, model=net, mode="train"), memory=2000)


@pytest.mark.parametrize("at_once", [1, 2, 32])
@pytest.mark.parametrize("way", WAYS)
def test_columns_together_and_one_by_one_are_the_same(way, at_once, monkeypatch):
    monkeypatch.setattr(products, "AT_ONCE", at_once)
    H = curvature.hessian(objective(), way=way)
    V = torch.randn(H.shape[0], 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert H.way.columns is None
    tried = H @ V
    for columns in ("one by one", "together"):
        H.way.columns = columns
        torch.testing.assert_close(H @ V, tried, **CLOSE)
    torch.testing.assert_close(torch.stack([H @ v for v in V.T], 1), tried, **CLOSE)
    torch.testing.assert_close(torch.from_numpy(H.to_scipy() @ V.numpy()), tried, **CLOSE)


def test_what_gauss_newton_computes_twice_it_keeps_once():
    """J and J^T share the hidden units (5 numbers a sample); the loss's Hessian needs the softmax and its product with
    the slope (3 each). Kept twice, the hidden units alone would take it beyond the bound.
    """
    kept = curvature.ggn(objective(chunk=N), way="linearize").way.bytes
    assert kept < 8 * N * (2 * 5 + 3 + 3)


def test_the_way_is_chosen_by_the_work_wanted(monkeypatch):
    few = curvature.hessian(objective(), products=1)
    assert few.way.name == "double backward"
    assert "less than a set-up" in str(few.way)
    monkeypatch.setattr(choice, "SHORT", 0.0)
    many = curvature.hessian(objective(), products=1000)
    assert set(many.way.seconds) == {"double backward", "linearize, contiguous"}
    assert many.way.name == min(many.way.seconds, key=many.way.seconds.get).split(",")[0]
    torch.testing.assert_close(many.dense(), few.dense(), **CLOSE)


class Stopped(nn.Module):
    """A network whose gradient is not that of its values."""

    def __init__(self, how):
        super().__init__()
        self.how, self.first, self.read = how, nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        h = self.first(x)
        if self.how == "detach":
            return self.read(h.tanh() * h.detach())
        if self.how == "no_grad":
            with torch.no_grad():
                scale = h.norm()
            return self.read(h.tanh() * scale)
        if self.how == "hook" and h.requires_grad:
            h.register_hook(lambda gradient: 2 * gradient)
        if self.how == "hook":
            return self.read(h.tanh())
        if self.how == "branch":
            return self.read(h.tanh() if h.sum() > 0 else h.sin())
        return self.read(Straight.apply(h.tanh()))


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


@pytest.mark.parametrize("how", ["detach", "no_grad", "hook", "branch", "own backward"])
def test_what_a_graph_of_values_cannot_hold_is_left_to_autograd(how, monkeypatch):
    monkeypatch.setattr(choice, "SHORT", 0.0)
    torch.manual_seed(0)
    subject = objective(model=Stopped(how).double())
    H = curvature.hessian(subject, products=1000)
    assert H.way.name == "double backward"
    assert "not traced" in H.way.why
    torch.testing.assert_close(H.dense(), curvature.hessian(subject, way="double backward").dense(), **CLOSE)
    with pytest.raises(InvalidInput, match="cannot be traced"):
        curvature.hessian(subject, way="linearize")


@pytest.mark.parametrize("operator", ["hessian", "ggn", "fisher", "empirical_fisher", "jacobian"])
def test_bad_input_is_refused_by_every_operator(operator):
    make = getattr(curvature, operator)
    with pytest.raises(InvalidInput, match="products = 0"):
        make(objective(), products=0)
    with pytest.raises(UnknownName, match="unknown way 'linearise'; did you mean 'linearize'"):
        make(objective(), way="linearise")
    with pytest.raises(InvalidInput, match="cannot be applied to a tensor \\(3,\\)"):
        make(objective()) @ torch.ones(3)
    with pytest.raises(InvalidInput, match="expected an Objective"):
        make(nn.Linear(4, 3))


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_that_is_not_finite_on_a_later_batch_is_refused(way):
    x = torch.ones(4, 1)
    model = nn.Linear(1, 1, bias=False).requires_grad_(False)
    model.weight.fill_(1.0)
    x[3] = 3e38
    with pytest.raises(InvalidInput, match="loss is inf on batch 1"):
        curvature.hessian(Objective(model, loss="mse", data=(x, -x), chunk=2), way=way)


def test_a_loss_without_a_second_derivative_is_refused():
    torch.manual_seed(0)
    loss = lambda z, y: torch.cdist(z, y, p=3.0).mean()  # noqa: E731
    subject = Objective(nn.Linear(4, 3), loss=loss, data=(torch.randn(2, 4), torch.randn(2, 3)))
    with pytest.raises(InvalidInput, match="cannot be differentiated twice"):
        curvature.hessian(subject) @ torch.ones(subject.size)


@pytest.mark.parametrize("way", WAYS)
def test_parameters_that_nothing_depends_on_have_zero_rows(way):
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 3), nn.Linear(2, 2)

        def forward(self, x):
            return self.used(x)

    whole = objective(model=Part().double())
    H = curvature.hessian(whole, way=way).dense()
    i = whole.positions(["unused"])
    assert H[i].abs().max() == 0
    assert H[:, i].abs().max() == 0
    assert curvature.hessian(whole.restricted(["unused"]), way=way).dense().abs().max() == 0
    assert curvature.ggn(whole.restricted(["unused"]), way=way).dense().abs().max() == 0


def test_the_objective_and_the_random_state_are_not_changed():
    own = objective()
    before, state = own.parameters, torch.get_rng_state()
    for way in WAYS:
        curvature.hessian(own, way=way) @ torch.ones(own.size, dtype=torch.float64)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, before[name]) and not p.requires_grad for name, p in own.parameters.items())
    assert all(not p.requires_grad and p.grad is None for p in own.model.parameters())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_products_are_linear_and_symmetric(seed, a, b):
    H = LINEAR[seed % 2]
    u, v = torch.randn(2, H.shape[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(H @ (a * u + b * v), a * (H @ u) + b * (H @ v), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(u @ (H @ v), v @ (H @ u), rtol=1e-9, atol=1e-11)


LINEAR = [curvature.hessian(objective(), way=way) for way in WAYS]


def test_labels_smoothed_and_a_sum_of_losses():
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(N, 4, generator=g, dtype=torch.float64), torch.randint(3, (N,), generator=g)
    model = nets.mlp(4, [5], 3, activation="tanh", seed=0, dtype=torch.float64)
    losses = [lambda z, y: functional.cross_entropy(z, y, label_smoothing=0.2), lambda z, _: z.square().mean()]
    both = Objective(model, loss=lambda z, y: losses[0](z, y) + 3 * losses[1](z, y), data=(x, y))
    parts = [curvature.hessian((model, loss, (x, y)), way="linearize").dense() for loss in losses]
    torch.testing.assert_close(curvature.hessian(both, way="linearize").dense(), parts[0] + 3 * parts[1], **CLOSE)
