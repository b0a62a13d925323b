"""Lipschitz constants of networks: closed forms, gradients on data, and certificates that hold."""

import math
from collections import Counter

import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.robustness.linear_bounds.max_pool import MaxPool
from lemmata.robustness.lipschitz_bounds.certify_by_lipschitz import certify_by_lipschitz
from lemmata.robustness.lipschitz_bounds.lipschitz import lipschitz


def dense_norm(layer, shape):
    """The spectral norm of an affine layer, from its matrix."""
    eye = torch.eye(math.prod(shape)).double().reshape(-1, *shape)
    zero = layer(torch.zeros(1, *shape).double())
    return float(torch.linalg.matrix_norm((layer(eye) - zero).flatten(1), 2))


def small():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(16, 5), nn.Tanh(), nn.Linear(5, 3),
    )  # fmt: skip
    model[1].running_var.uniform_(0.1, 2)
    model[1].running_mean.uniform_()
    model[1].weight.data.uniform_(-2, 2)
    return model.double().eval().requires_grad_(False)


def test_a_chain_is_the_product_of_its_layers_norms():
    model = small()
    parts = [(model[:2], (2, 8, 8)), (model[3], (4, 4, 4)), (model[5], (16,)), (model[7], (5,))]
    exact = math.prod(dense_norm(*part) for part in parts)
    bound = lipschitz(model, (2, 8, 8))
    assert exact <= bound.value <= exact * (1 + 1e-5)  # the tolerance of each norm is 1e-6
    assert len(bound.layers) == 3
    assert bound.layers[-1].total == bound.value
    weight = model[7].weight
    for i in range(3):
        for j in range(3):
            expected = float((weight[i] - weight[j]).norm()) * math.prod(dense_norm(*part) for part in parts[:3])
            assert expected <= float(bound.pairs[i, j]) * (1 + 1e-15) or i == j
            assert float(bound.pairs[i, j]) <= expected * (1 + 1e-5)


def test_sums_add_constants():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.inner, self.last = (nn.Linear(4, 4, bias=False) for _ in range(3))

        def forward(self, x):
            z = self.first(x)
            return self.last(z - torch.relu(self.inner(z)))

    model = Residual().double().eval().requires_grad_(False)
    for layer, scale in ((model.first, 2.0), (model.inner, 3.0), (model.last, 0.5)):
        layer.weight.copy_(scale * torch.eye(4))
    assert lipschitz(model, (4,)).value == pytest.approx(2 * (1 + 3) * 0.5, rel=1e-5)


@pytest.mark.parametrize(
    "make", [small, lambda: nets.resnet(8, channels=2, seed=0).double().eval().requires_grad_(False)]
)
def test_no_gradient_is_larger(make):
    model = make()
    shape = (2, 8, 8) if isinstance(model, nn.Sequential) else (3, 8, 8)
    bound = lipschitz(model, shape)
    x = torch.randn(16, *shape).double()
    J = vmap(jacrev(lambda z: model(z[None])[0]))(x).flatten(2)
    assert float(torch.linalg.matrix_norm(J, 2).max()) <= bound.value
    for i, j in ((0, 1), (1, 2)):
        assert float((J[:, i] - J[:, j]).norm(dim=1).max()) <= float(bound.pairs[i, j])


def test_max_pooling_counts_its_overlap():
    torch.manual_seed(0)
    x, d = torch.randn(500, 1, 5, 5).double(), 0.1 * torch.randn(500, 1, 5, 5).double()
    for kernel, stride, constant in ((2, 2, 1.0), (3, 1, 3.0), (3, 2, 2.0)):
        model = nn.Sequential(nn.MaxPool2d(kernel, stride), nn.Flatten()).eval()
        bound = lipschitz(model, (1, 5, 5)).value
        assert bound == pytest.approx(constant, rel=1e-9)
        assert float(((model(x + d) - model(x)).norm(dim=1) / d.flatten(1).norm(dim=1)).max()) <= bound
    # one bright pixel that all nine windows see: the constant is attained
    spike = torch.zeros(1, 1, 5, 5).double()
    spike[..., 2, 2] = 1
    assert float(nn.Sequential(nn.MaxPool2d(3, 1), nn.Flatten())(spike).norm()) == 3.0


def test_max_pooling_counts_the_windows_of_an_input():
    # counted: the most windows that hold one input, on a side of an image that is large enough
    for k in range(1, 6):
        for s in range(1, 6):
            for d in range(1, 5):
                held = Counter(i * s + j * d for i in range(40) for j in range(k))
                assert MaxPool(k, s, 0, d).lipschitz == pytest.approx(max(held.values()), rel=1e-12), (k, s, d)
    model = nn.Sequential(nn.MaxPool2d(2, stride=2, dilation=2), nn.Flatten()).eval()
    spike = torch.zeros(1, 1, 7, 7).double()
    spike[..., 2, 2] = 1
    assert lipschitz(model, (1, 7, 7)).value == pytest.approx(float(model(spike).norm()), rel=1e-9)  # attained: 2


def jacobian_norm(model, shape):
    """The spectral norm of the Jacobian at a point."""
    J = jacrev(lambda z: model(z[None])[0])(torch.rand(shape).double()).detach()
    return float(torch.linalg.matrix_norm(J.reshape(len(J), -1), 2))


class Scaled(nn.Module):
    """A layer, and a scale that need not be constant on its channels."""

    def __init__(self, layer, scale):
        super().__init__()
        self.layer, self.scale = layer, nn.Parameter(scale)

    def forward(self, x):
        return (self.layer(x) * self.scale).flatten(1)


SCALES = {
    "width": (lambda: nn.Conv2d(1, 4, 1, bias=False), (4,), (1, 4, 4)),
    "channels": (lambda: nn.Conv2d(1, 4, 1, bias=False), (4, 1, 1), (1, 4, 4)),
    "all": (lambda: nn.Conv2d(1, 4, 1, bias=False), (4, 4, 4), (1, 4, 4)),
    "rows of a dense layer": (lambda: nn.Linear(3, 4, bias=False), (4, 1), (4, 3)),
    "outputs of a dense layer": (lambda: nn.Linear(3, 4, bias=False), (4,), (4, 3)),
    "one number": (lambda: nn.Linear(3, 4, bias=False), (), (3,)),
}


@pytest.mark.parametrize("name", SCALES)
def test_scales_multiply_what_they_multiply(name):
    make, shape, inputs = SCALES[name]
    torch.manual_seed(0)
    scale = torch.full(shape, 1e-3)
    scale.view(-1)[-1] = 100.0
    layer = make()
    layer.weight.data[-1] *= 1e-3  # the channel of the large factor is the small one
    model = Scaled(layer, scale).double().eval()
    exact, bound = jacobian_norm(model, inputs), lipschitz(model, inputs).value
    assert exact <= bound * (1 + 1e-12)
    if name in ("channels", "outputs of a dense layer", "one number"):  # multiplied in, so that nothing is lost
        assert bound <= exact * (1 + 1e-5)


def test_batch_normalisation_behind_a_layer_on_another_axis():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Flatten()).double().eval()
    model[0].weight.data[3] *= 1e-3
    model[1].weight.data = torch.tensor([1e-3, 1e-3, 1e-3, 100.0]).double()
    assert jacobian_norm(model, (4, 3)) <= lipschitz(model, (4, 3)).value


def test_the_bound_of_another_model_is_refused():
    model = small()
    x = torch.randn(2, 2, 8, 8).double()
    bound = lipschitz(model, (2, 8, 8))
    assert torch.equal(certify_by_lipschitz(model, x, bound=bound).radius, certify_by_lipschitz(model, x).radius)
    for change in (
        lambda other: other[7].weight.mul_(1.5),  # a parameter
        lambda other: other[1].running_var.mul_(0.5),  # a buffer
        lambda other: other.__setitem__(6, nn.ReLU()),  # an activation
        lambda other: other.__setitem__(3, nn.AvgPool2d(2, divisor_override=1)),  # a layer without weights
    ):
        other = small()
        change(other)
        with pytest.raises(InvalidInput, match="bound is of another model"):
            certify_by_lipschitz(other, x, bound=bound)
    with pytest.raises(InvalidInput, match="float"):
        certify_by_lipschitz(model, x, bound=3.0)
    assert bound.layers[0].name == "0"


@pytest.mark.parametrize("y", [torch.tensor([0, 3]), torch.tensor([-1, 0]), torch.tensor([0.0, 1.0]), [0, 1]])
def test_labels_that_do_not_fit_are_refused(y):
    with pytest.raises(InvalidInput, match="labels y"):
        certify_by_lipschitz(small(), torch.randn(2, 2, 8, 8).double(), y)


SETTINGS = {
    "tolerance": (0, -1, math.nan, 2, "a"),
    "flops": (-1, math.nan, "a"),
    "seed": ("a", 1.5, True),
    "input_shape": (64, None, "a", [64.0], [True], [], [-1]),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in SETTINGS.items() for value in values])
def test_settings_that_are_none_are_refused(name, value):
    settings = {"input_shape": (4,), name: value}
    with pytest.raises(InvalidInput, match=name):
        lipschitz(nn.Linear(4, 2), **settings)


@pytest.mark.parametrize("model", [None, [nn.Linear(4, 2)], abs])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(InvalidInput, match="a model is"):
        lipschitz(model, (4,))
    with pytest.raises(InvalidInput, match="a model is"):
        certify_by_lipschitz(model, torch.rand(2, 4))


def test_images_of_whole_numbers_and_one_logit_are_refused():
    with pytest.raises(InvalidInput, match="uint8"):
        certify_by_lipschitz(nn.Linear(4, 2), torch.ones(2, 4, dtype=torch.uint8))
    with pytest.raises(InvalidInput, match="one logit"):
        certify_by_lipschitz(nn.Linear(4, 1), torch.ones(2, 4))


def test_the_figure_shows_every_layer():
    panel = lipschitz(small(), (2, 8, 8)).plot().panels[0]
    assert panel.x.ticks == ("0", "5", "7")
    assert [len(series.x) for series in panel.series] == [3, 3]


def test_the_radius_of_a_linear_classifier_is_exact():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).double().eval().requires_grad_(False)
    x = torch.randn(10, 3, 4).double()
    logits, weight = model(x), model[1].weight
    y = logits.argmax(1)
    margins, lengths = logits.gather(1, y[:, None]) - logits, (weight[y][:, None] - weight).norm(dim=2)
    exact = (margins / lengths).scatter(1, y[:, None], torch.inf).amin(1)
    found = certify_by_lipschitz(model, x, y)
    assert (found.radius <= exact).all()
    torch.testing.assert_close(found.radius, exact, rtol=1e-9, atol=0)
    assert found.norm == "l2"
    assert found.alpha == 0
    assert found.correct.all()


def test_tsuzukus_radius_is_never_larger():
    model = small()
    x = torch.randn(10, 2, 8, 8).double()
    bound = lipschitz(model, (2, 8, 8))
    top = model(x).topk(2, dim=1).values
    tsuzuku = (top[:, 0] - top[:, 1]) / (math.sqrt(2) * bound.value)
    assert (certify_by_lipschitz(model, x, bound=bound).radius >= tsuzuku * (1 - 1e-9)).all()


def test_bad_input_is_refused():
    model = small()
    with pytest.raises(InvalidInput, match="input_shape"):
        lipschitz(model, ())
    with pytest.raises(InvalidInput, match="training mode"):
        lipschitz(small().train(), (2, 8, 8))
    with pytest.raises(InvalidInput, match="training mode"):
        certify_by_lipschitz(small().train(), torch.rand(1, 2, 8, 8))
    with pytest.raises(InvalidInput, match="GELU"):
        lipschitz(nn.Sequential(nn.Flatten(), nn.GELU()), (2, 2))
    model[7].bias[0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        certify_by_lipschitz(model, torch.rand(1, 2, 8, 8).double())
