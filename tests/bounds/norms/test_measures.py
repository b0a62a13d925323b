"""Measures made of norms: paths by enumeration, the Fisher matrix in full, norms by dense SVD."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

from lemmata import bounds, nets
from lemmata.errors import InvalidInput, UnknownName


class Small(nn.Module):
    """Convolution with batch normalisation, a sum, max pooling and a dense layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2)
        self.inner, self.last = nn.Conv2d(2, 2, 1, bias=False), nn.Linear(2, 2)
        self.norm.running_var.uniform_(0.5, 2), self.norm.running_mean.uniform_(-1, 1)

    def forward(self, x):
        z = torch.relu(self.norm(self.first(x)))
        z = z + torch.relu(self.inner(z))
        return self.last(torch.max_pool2d(z, 2).flatten(1))


def labelled(n: int, shape: tuple[int, ...], classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    return torch.randn(n, *shape, generator=draw), torch.randint(0, classes, (n,), generator=draw)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_paths_of_a_perceptron_by_enumeration(p: float):
    """All 4 x 3 x 2 x 2 paths from inputs, and those from biases; to 1e-9, sums in another order."""
    model = nets.mlp(4, [3, 2], 2, seed=0).double()
    weights = [getattr(model, name) for name in ("hidden1", "hidden2", "output")]
    W = [np.abs(each.weight.detach().numpy()) ** p for each in weights]
    b = [np.abs(each.bias.detach().numpy()) ** p for each in weights]
    sides = [4, 3, 2, 2]
    total = sum(W[0][j, i] * W[1][k, j] * W[2][m, k] for i, j, k, m in itertools.product(*map(range, sides)))
    total += sum(b[0][j] * W[1][k, j] * W[2][m, k] for j, k, m in itertools.product(*map(range, sides[1:])))
    total += sum(b[1][k] * W[2][m, k] for k, m in itertools.product(range(2), range(2))) + b[2].sum()
    assert bounds.path_norm_measure(model, [4], p=p).value == pytest.approx(total ** (1 / p), rel=1e-9)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_paths_of_a_graph_by_matrices(p: float):
    """Each step as a dense matrix in the power p of its entries, max pooling a sum: to 1e-9."""
    model = Small().double().eval().requires_grad_(False)

    def dense(part, shape):
        eye = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
        zero = part(torch.zeros(1, *shape, dtype=torch.float64))
        return (part(eye) - zero).flatten(1).T.abs() ** p, zero.flatten().abs() ** p

    A, a = dense(lambda x: model.norm(model.first(x)), (1, 3, 3))
    B, _ = dense(model.inner, (2, 2, 2))
    C, c = dense(model.last, (2,))
    z = A.sum(1) + a
    z = (z + B @ z).reshape(2, 4).sum(1)
    expected = float((C @ z + c).sum()) ** (1 / p)
    assert bounds.path_norm_measure(model, (1, 3, 3), p=p).value == pytest.approx(expected, rel=1e-9)


def test_paths_through_averages():
    """Weights 1/4 squared are 1/16, whether written as pooling, as a mean or as a convolution."""
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 2, 2, stride=2, groups=2, bias=False)
    conv.weight.data.fill_(0.25)
    last = nn.Linear(8, 3)
    same = [nn.Sequential(part, nn.Flatten(), last) for part in (conv, nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2))]
    values = [bounds.path_norm_measure(model, (2, 4, 4)).value for model in same]
    assert values == pytest.approx([values[0]] * 3, rel=1e-12)


def test_rescaling_leaves_path_and_fisher_rao_norms():
    """W1 c, b1 c, W2 / c compute the same; the l2 norm does not stay."""
    model = nets.mlp(4, [5], 3, seed=0).double().requires_grad_(False)
    other = copy.deepcopy(model)
    other.hidden1.weight.mul_(7), other.hidden1.bias.mul_(7), other.output.weight.div_(7)
    data = labelled(20, (4,), 3)
    data = data[0].double(), data[1]
    assert bounds.path_norm_measure(other, [4]).value == pytest.approx(bounds.path_norm_measure(model, [4]).value)
    values = [bounds.fisher_rao_measure(net, data).value for net in (model, other)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert bounds.l2_measure(other).value > 2 * bounds.l2_measure(model).value


@pytest.mark.parametrize("labels", ["data", "model"])
@pytest.mark.parametrize(
    "model", [nets.mlp(3, [4], 3, activation="tanh", seed=0), nets.mlp(3, [4], 1, seed=0), Small()]
)
def test_fisher_rao_by_the_matrix(model: nn.Module, labels: str):
    """theta^T I theta with I from the gradient of every sample (and every label): to 1e-8 in float64."""
    model = model.double().eval()
    shape = (1, 3, 3) if isinstance(model, Small) else (3,)
    x, y = labelled(12, shape, 2)
    x = x.double()
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    theta = torch.cat([p.flatten() for p in parameters.values()])

    def logarithms(at, one):
        z = functional_call(model, at, (one[None],))[0]
        return (torch.cat([torch.zeros_like(z), z]) if len(z) == 1 else z).log_softmax(0)

    J = vmap(jacrev(logarithms), (None, 0))(parameters, x)
    J = torch.cat([each.flatten(2) for each in J.values()], 2)  # (n, C, P)
    probability = vmap(logarithms, (None, 0))(parameters, x).exp()
    if labels == "data":
        gradients = J[torch.arange(12), y]
        fisher = gradients.T @ gradients / 12
    else:
        fisher = torch.einsum("nc,ncp,ncq->pq", probability, J, J) / 12
    expected = float((theta @ fisher @ theta).detach().sqrt())
    assert bounds.fisher_rao_measure(model, (x, y), labels=labels).value == pytest.approx(expected, rel=1e-8)


def test_fisher_rao_in_closed_form():
    """Of a rectifier network of three layers without biases it is 3 (E <dl/df, f>^2)^(1/2), by autograd; to 1e-5."""
    model = nets.mlp(4, [6, 5], 3, bias=False, seed=0)
    x, y = labelled(1500, (4,), 3)  # more than one chunk
    f = model(x)
    (slope,) = torch.autograd.grad(nn.functional.cross_entropy(f, y, reduction="sum"), f)
    expected = 3 * float(((slope * f).sum(1) ** 2).mean().sqrt().detach())
    assert bounds.fisher_rao_measure(model, (x, y)).value == pytest.approx(expected, rel=1e-5)


def test_products_and_distances_by_dense_norms():
    """Spectral norms within their tolerance of 1e-6, lengths to 1e-6 (float32 weights)."""
    model, initial = nets.mlp(5, [7, 6], 3, seed=0), nets.mlp(5, [7, 6], 3, seed=1)
    names = ("hidden1", "hidden2", "output")
    W, W0 = ([getattr(net, name).weight.detach().double() for name in names] for net in (model, initial))
    top = [float(torch.linalg.matrix_norm(each, 2)) for each in W]
    assert bounds.spectral_product_measure(model, [5]).value == pytest.approx(math.prod(top), rel=1e-5)
    lengths = [float(each.norm()) for each in W]
    assert bounds.frobenius_product_measure(model, [5]).value == pytest.approx(math.prod(lengths), rel=1e-6)
    gone = [float(torch.linalg.matrix_norm(a - b, 2)) for a, b in zip(W, W0, strict=True)]
    found = bounds.spectral_distance_measure(model, initial, [5])
    assert found.value == pytest.approx(sum(each**2 for each in gone), rel=1e-5)
    assert list(found.terms.values()) == pytest.approx(gone, rel=1e-5)
    own, start = (torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (model, initial))
    assert bounds.l2_measure(model).value == pytest.approx(float(own.norm()), rel=1e-6)
    assert bounds.distance_measure(model, initial).value == pytest.approx(float((own - start).norm()), rel=1e-6)
    assert bounds.parameter_count_measure(model).value == 5 * 7 + 7 + 7 * 6 + 6 + 6 * 3 + 3


def test_shared_parameters_count_once_and_any_module_will_do():
    """A transformer has parameters, if no layers that can be read; a weight used twice is one."""
    layer = nn.Linear(3, 3)
    assert bounds.parameter_count_measure(nn.Sequential(layer, nn.ReLU(), layer)).value == 12
    model = nn.TransformerEncoderLayer(4, 2, dropout=0.0)
    assert bounds.l2_measure(model).value > 0
    assert bounds.distance_measure(model, model).value == 0
    with pytest.raises(InvalidInput):
        bounds.path_norm_measure(model, (3, 4))


def test_the_inverse_margin_is_of_a_quantile():
    """One over the margin that fewer than a tenth are below; infinite where that is not positive."""
    model = nn.Linear(1, 1, bias=False).requires_grad_(False)
    model.weight.fill_(1.0)
    x = torch.arange(1.0, 31.0)[:, None]
    found = bounds.inverse_margin_measure(model, (x, torch.ones(30, dtype=torch.long)))
    assert found.value == pytest.approx(1 / np.sort(x[:, 0].numpy())[3])
    assert bounds.inverse_margin_measure(model, (x, torch.zeros(30, dtype=torch.long))).value == math.inf


def test_every_measure_says_that_it_is_none():
    """`is_bound` is False, the figure says so, and the model is as before."""
    model, (x, y) = nets.mlp(5, [7], 3, seed=0).train(), labelled(20, (5,), 3)
    before = [p.clone() for p in model.parameters()]
    every = [
        bounds.path_norm_measure(model, x), bounds.fisher_rao_measure(model, (x, y)),
        bounds.spectral_product_measure(model, x), bounds.frobenius_product_measure(model, x),
        bounds.spectral_complexity_measure(model, x), bounds.spectral_distance_measure(model, model, x),
        bounds.l2_measure(model), bounds.distance_measure(model, model), bounds.parameter_count_measure(model),
        bounds.inverse_margin_measure(model, (x, y)),
    ]  # fmt: skip
    for found in every:
        assert not found.is_bound
        assert "bounds nothing" in found.plot().caption
        assert found.source
    assert all(p.equal(q) for p, q in zip(model.parameters(), before, strict=True))
    assert model.training


class _Doubled(torch.autograd.Function):
    """Twice the input, with a derivative backwards and none forwards."""

    @staticmethod
    def forward(x):
        return 2 * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class _OneWay(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return _Doubled.apply(self.layer(x))


def test_fisher_rao_refuses_what_has_no_derivative_forwards():
    with pytest.raises(InvalidInput, match="cannot differentiate the model forwards"):
        bounds.fisher_rao_measure(_OneWay(), labelled(20, (5,), 3))


def test_what_is_refused():
    """A power below 1, sigmoids, labels of nobody, a module without parameters, a start of other shapes, NaN."""
    model, data = nets.mlp(5, [7], 3, seed=0), labelled(20, (5,), 3)
    for p in (0.5, float("inf"), "2"):
        with pytest.raises(InvalidInput, match="p = "):
            bounds.path_norm_measure(model, [5], p=p)
    with pytest.raises(InvalidInput, match="rectifiers, not of sigmoid"):
        bounds.path_norm_measure(nets.mlp(5, [7], 3, activation="sigmoid", seed=0), [5])
    with pytest.raises(UnknownName, match="model"):
        bounds.fisher_rao_measure(model, data, labels="modell")
    with pytest.raises(InvalidInput, match="no parameters"):
        bounds.l2_measure(nn.ReLU())
    with pytest.raises(InvalidInput, match="hidden1"):
        bounds.distance_measure(model, nets.mlp(5, [8], 3, seed=0))
    model.output.weight.data[0, 0] = torch.nan
    for measure in (bounds.l2_measure, bounds.parameter_count_measure):
        with pytest.raises(InvalidInput, match="diverged"):
            measure(model)
