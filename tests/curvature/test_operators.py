"""Every operator by every way on every kind of network, against explicit matrices in float64.

The matrices come from `torch.autograd.functional` (loops over rows) on the network called as it is. Tolerance 1e-10
absolute, on entries of order one: both sides add the same few thousand terms in float64, in another order. The Hessian
of a network with kinks is compared at points where autograd has the same kinks, since the values are the same.
"""

from functools import cache

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from lemmata import curvature, nets
from lemmata.curvature.linear.graph import elementary
from lemmata.objective import Objective

CLOSE = {"rtol": 0, "atol": 1e-10}
WAYS = ["double backward", "linearize"]
G = torch.Generator()


def normal(*shape):
    return torch.randn(*shape, generator=G, dtype=torch.float64)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, activation="gelu", batch_first=True)
        self.read = nn.Linear(4, 3)

    def forward(self, x):
        return self.read(self.block(x).mean(1))


class Shared(nn.Module):
    """A weight used twice, and one not used."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(0.3 * torch.randn(4, 4))
        self.unused = nn.Parameter(torch.randn(2))
        self.read = nn.Linear(4, 3)

    def forward(self, x):
        return self.read(torch.sigmoid(torch.tanh(x @ self.W) @ self.W.T))


class Convnet(nn.Module):
    """Strides, padding, groups, in-place activations, pooling, a skip, biases, and normalisation before and after."""

    def __init__(self):
        super().__init__()
        self.norm0 = nn.BatchNorm2d(2)
        self.conv1, self.norm1 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(4, affine=False)
        self.conv3 = nn.Conv2d(4, 2, 3, stride=2)
        self.act, self.pool, self.read = nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Linear(2, 3)

    def forward(self, x):
        h = self.act(self.norm1(self.conv1(self.norm0(x))))
        h = self.pool(functional.silu(self.norm2(self.conv2(h)) + h))
        return self.read(functional.softplus(self.conv3(h)).mean((2, 3)))


class Mixed(nn.Module):
    """Slices, joins, divisions, powers, an embedding, a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.table, self.up = nn.Embedding(7, 4), nn.ConvTranspose1d(2, 2, 2, stride=2)
        self.read = nn.Linear(10, 3)

    def forward(self, x):
        e = self.table(x)  # (n, 3, 4)
        a, b = e[..., :2], e[:, :, 2:]
        joined = torch.cat([a / (1 + b**2), torch.exp(-a) - 2 * b, torch.ones_like(a)], -1)
        up = self.up(joined.amax(1).reshape(-1, 2, 3))
        return self.read(functional.elu(up).flatten(1)[:, :10].clamp(-3, 0.7))


def images(n=10):
    return normal(n, 2, 8, 8), torch.randint(3, (n,), generator=G)


def labelled(x):
    return x, torch.randint(3, (len(x),), generator=G)


def own_loss(z, y):
    return (functional.cross_entropy(z, y, label_smoothing=0.1) ** 2) + 0.1 * z.pow(2).mean(0).sum()


def weighted(z, y):
    return functional.cross_entropy(z, y, weight=z.new_tensor([1.0, 2.0, 0.5]), reduction="none").mean()


def smooth_l1(z, y):
    return functional.smooth_l1_loss(z, y)


CASES = {
    "relu": (lambda: nets.mlp(4, [5], 3, seed=0), lambda: labelled(normal(10, 4)), "cross_entropy"),
    "tanh, mse": (
        lambda: nets.mlp(4, [5], 3, activation="tanh", seed=0),
        lambda: (normal(10, 4), normal(10, 3)),
        "mse",
    ),
    "layer norm, gelu": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.GELU(), nn.Linear(5, 3)),
        lambda: labelled(normal(10, 4)),
        "cross_entropy",
    ),
    "batch norm in one dimension": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)),
        lambda: labelled(normal(10, 4)),
        "cross_entropy",
    ),
    "attention": (Attention, lambda: labelled(normal(10, 3, 4)), "cross_entropy"),
    "shared and unused": (Shared, lambda: labelled(normal(10, 4)), "cross_entropy"),
    "convnet": (Convnet, images, "cross_entropy"),
    "mixed": (Mixed, lambda: labelled(torch.randint(7, (10, 3), generator=G)), "cross_entropy"),
    "own loss": (lambda: nets.mlp(4, [5], 3, activation="tanh", seed=0), lambda: labelled(normal(10, 4)), own_loss),
    "weighted": (lambda: nets.mlp(4, [5], 3, seed=0), lambda: labelled(normal(10, 4)), weighted),
    "smooth l1": (lambda: nets.mlp(4, [5], 3, seed=0), lambda: (normal(10, 4), normal(10, 3)), smooth_l1),
}

SLOW_TO_TRACE = {"layer norm, gelu", "attention", "convnet", "mixed"}


def problem(case, mode="eval", chunk=4):
    """An objective of several batches, the last smaller but where tracing takes long, and its network."""
    make, data, loss = CASES[case]
    torch.manual_seed(0)
    G.manual_seed(1)
    model = make().double()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    x, y = data()
    batches = list(zip(x.split(chunk), y.split(chunk), strict=True))
    batches = batches[: -1 if case in SLOW_TO_TRACE else None]  # of one shape: each shape is traced by itself
    return Objective(model, loss=loss, data=batches, mode=mode)


def explicit_hessian(objective):
    theta = objective.vector(objective.parameters)
    total = torch.zeros(len(theta), len(theta), dtype=torch.float64)
    for x, y in objective.batches:
        f = lambda t: objective.loss(functional_call(objective.model, objective.tree(t), (x,)), y)  # noqa: B023, E731
        total += len(y) / objective.n * torch.autograd.functional.hessian(f, theta)
    return total


def explicit_jacobian(objective):
    """(n, C, P)."""
    theta = objective.vector(objective.parameters)
    outputs = lambda x: lambda t: functional_call(objective.model, objective.tree(t), (x,))  # noqa: E731
    return torch.cat([torch.autograd.functional.jacobian(outputs(x), theta) for x, _ in objective.batches])


@cache
def explicit(matrix, case, mode="eval", chunk=4):
    """One of the matrices below of a problem, for both ways."""
    with elementary():  # fused attention cannot be differentiated twice
        return matrix(problem(case, mode, chunk))


def explicit_ggn(objective):
    J = explicit_jacobian(objective)
    total, start = 0, 0
    for x, y in objective.batches:
        z = functional_call(objective.model, objective.parameters, (x,))
        B = torch.autograd.functional.hessian(lambda z: objective.loss(z, y), z).flatten(2).flatten(0, 1)  # noqa: B023
        j = J[start : start + len(y)].flatten(0, 1)
        total, start = total + len(y) / objective.n * j.T @ B @ j, start + len(y)
    return total


@pytest.fixture(autouse=True)
def _elementary_attention():
    """The oracle differentiates twice too; fused attention cannot be."""
    with elementary():
        yield


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_hessian_equals_the_explicit_matrix(case, way):
    objective = problem(case)
    H = curvature.hessian(objective, way=way)
    torch.testing.assert_close(H.dense(), explicit(explicit_hessian, case), **CLOSE)
    assert (H.way.name, H.way.kept) == (way, len(objective.batches))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ["relu", "tanh, mse", "attention", "shared and unused", "convnet"])
def test_gauss_newton_equals_the_explicit_matrix(case, way):
    objective = problem(case)
    torch.testing.assert_close(curvature.ggn(objective, way=way).dense(), explicit(explicit_ggn, case), **CLOSE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ["tanh, mse", "convnet", "mixed", "shared and unused"])
def test_jacobian_and_its_transpose_equal_the_explicit_matrix(case, way):
    objective = problem(case)
    J, expected = curvature.jacobian(objective, way=way), explicit(explicit_jacobian, case).flatten(0, 1)
    torch.testing.assert_close(J.dense(), expected, **CLOSE)
    torch.testing.assert_close(J.T.dense(), expected.T, **CLOSE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ["batch norm in one dimension"])
def test_with_the_statistics_of_the_batch(case, way):
    objective = problem(case, mode="train")
    hessian, ggn = (explicit(matrix, case, "train") for matrix in (explicit_hessian, explicit_ggn))
    torch.testing.assert_close(curvature.hessian(objective, way=way).dense(), hessian, **CLOSE)
    torch.testing.assert_close(curvature.ggn(objective, way=way).dense(), ggn, **CLOSE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ["relu", "shared and unused"])
def test_blocks_by_name_are_parts_of_the_matrix(case, way):
    objective = problem(case, chunk=5)
    whole = {
        curvature.hessian: explicit(explicit_hessian, case, chunk=5),
        curvature.ggn: explicit(explicit_ggn, case, chunk=5),
    }
    names = objective.names
    for operator, matrix in whole.items():
        traced = operator(objective, way=way)
        for rows, columns in ((names[:1], names[-2:]), ([names[0]], [names[0]])):
            i, j = objective.positions(rows), objective.positions(columns)
            block = traced.block(rows, columns)
            torch.testing.assert_close(block.dense(), matrix[i][:, j], **CLOSE)
            torch.testing.assert_close(block.T.dense(), matrix[i][:, j].T, **CLOSE)
            assert block.symmetric == (rows == columns)


@pytest.mark.parametrize("way", WAYS)
def test_resnet8_in_both_precisions(way):
    """Single precision against double: 1e-4 of the largest entry of the product, some 1000 roundings of 6e-8."""
    G.manual_seed(0)
    x, y = normal(6, 3, 16, 16), torch.randint(10, (6,), generator=G)
    models = [nets.resnet(8, seed=0, dtype=dtype) for dtype in (torch.float64, torch.float32)]
    models[1].load_state_dict(models[0].state_dict())
    products = []
    for model in models:
        dtype = next(model.parameters()).dtype
        objective = Objective(model, data=(x.to(dtype), y), mode="eval", chunk=4)
        v = normal(objective.size) if not products else v  # noqa: F821
        products.append((curvature.hessian(objective, way=way) @ v.to(dtype)).double())
        if dtype == torch.float64:
            slow = objective.vector(objective.hvp(objective.tree(v)))
            torch.testing.assert_close(products[0], slow, rtol=0, atol=1e-10 * float(slow.abs().max()))
    assert (products[0] - products[1]).abs().max() < 1e-4 * products[0].abs().max()


@pytest.mark.parametrize("case", ["relu", "batch norm in one dimension"])
@pytest.mark.parametrize("operator", ["hessian", "ggn", "empirical_fisher"])
def test_curvlinops_has_the_same_matrix(case, operator):
    curvlinops = pytest.importorskip("curvlinops")
    objective = problem(case)
    model = objective.model.requires_grad_(True)
    peer = {
        "hessian": curvlinops.HessianLinearOperator,
        "ggn": curvlinops.GGNLinearOperator,
        "empirical_fisher": curvlinops.EFLinearOperator,
    }[operator]
    theirs = peer(model, nn.CrossEntropyLoss(), list(model.parameters()), objective.batches)
    expected = theirs @ torch.eye(objective.size, dtype=torch.float64)
    model.requires_grad_(False)
    for way in WAYS:
        own = getattr(curvature, operator)(objective, way=way).dense()
        torch.testing.assert_close(own, expected, **CLOSE)


def test_large_layers_are_written_in_place():
    """The products of layers from 2^16 entries on skip a copy; float64, so that 1e-10 is rounding alone."""
    draw = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 260), nn.Tanh(), nn.Linear(260, 270), nn.Tanh(), nn.Linear(270, 3)).double()
    x, y = torch.randn(20, 300, generator=draw, dtype=torch.float64), torch.randint(3, (20,), generator=draw)
    objective = Objective(model, loss="cross_entropy", data=(x, y))
    V = torch.randn(objective.size, 5, generator=draw, dtype=torch.float64)
    for operator in (curvature.hessian, curvature.ggn):
        by_graph, by_autograd = operator(objective, way="linearize"), operator(objective, way="double backward")
        torch.testing.assert_close(by_graph @ V[:, 0], by_autograd @ V[:, 0], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(by_graph @ V, by_autograd @ V, rtol=1e-10, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("way", WAYS)
def test_on_a_gpu(way):
    objective = problem("convnet")
    batches = [(x.cuda(), y.cuda()) for x, y in objective.batches]
    there = Objective(objective.model.cuda(), data=batches)
    H = curvature.hessian(there, way=way).dense()
    assert H.is_cuda
    torch.testing.assert_close(H.cpu(), explicit_hessian(problem("convnet")), **CLOSE)
