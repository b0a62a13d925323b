"""Models are read however they are written, and what cannot be bounded is refused by name."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.robustness.linear_bounds import crown, interval_bounds, margin_bounds
from lemmata.robustness.linear_bounds.tracing import trace

SHAPE = torch.Size([3, 8, 8])


class Functional(nn.Module):
    """Written with functions, constants, views, and weights scaled on the way."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding="same")
        self.weight = nn.Parameter(torch.randn(5, 16))
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6])[:, None, None])

    def forward(self, x):
        x = (x - self.mean) / 0.25
        z = functional.relu(self.conv(x), inplace=True)
        z = functional.max_pool2d(z, 2, padding=1, stride=2)
        z = functional.leaky_relu(functional.avg_pool2d(z, 2) - 0.1, 0.2)
        z = z.mean(dim=(2, 3)).view(x.size(0), -1)
        z = 2.0 - z.tanh() * 3
        return functional.linear(z, self.weight[:, :4] * 0.5)


class Difference(nn.Module):
    """Branches that meet with a minus sign, and one that cancels in part."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(192, 6), nn.Linear(192, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        x = x.flatten(1)
        z = torch.relu(self.first(x)) - torch.sigmoid(self.second(x))
        return self.last(z - 0.5 * torch.relu(z))


MODELS = {
    "difference": Difference,
    "functions": Functional,
    "resnet": lambda: nets.resnet(8, channels=2, seed=0),
    "grouped, dilated": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3, dilation=2, groups=3), nn.BatchNorm2d(6), nn.Sigmoid(), nn.MaxPool2d(3, 1), nn.Dropout(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2),
    ),
    "ntk": lambda: nets.mlp(192, [5], 3, initialisation="ntk", seed=0),
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.Identity()),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_computes_what_the_model_computes(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_()
            module.running_var.uniform_(0.5, 2)
    model.eval()
    x = torch.rand(4, *SHAPE)
    graph = trace(model, SHAPE, torch.float64)
    with torch.no_grad():
        expected = model.double()(x.double())
        torch.testing.assert_close(graph(x.double()), expected, rtol=0, atol=1e-12)
        for found in (interval_bounds(model, x, 0.0), crown(model, x, 0.0)):
            assert (found.low <= expected).all()
            assert (found.high >= expected).all()
            assert float(found.width.max()) < 1e-9
        wide = crown(model, x, 0.05)
        near = model((x.double() + 0.05 * torch.randn_like(x, dtype=torch.float64).sign()).clamp(0, 1))
        assert (near >= wide.low).all()
        assert (near <= wide.high).all()


class Branching(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


class Product(nn.Module):
    def forward(self, x):
        return (x * x).flatten(1)


class Mixing(nn.Module):
    def forward(self, x):
        return x.flatten(1).mean(dim=0, keepdim=True)


class Two(nn.Module):
    def forward(self, x, y):
        return (x + y).flatten(1)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192)), "training mode"),
        (nn.Sequential(nn.Dropout(), nn.Flatten()), "training mode"),
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192, track_running_stats=False)).eval(), "mixes samples"),
        (nn.Sequential(nn.Flatten(), nn.GELU()), "GELU has no bounds"),
        (nn.Sequential(nn.Flatten(), nn.Softmax(1)), "Softmax has no bounds"),
        (nn.Sequential(nn.MaxPool2d(3, ceil_mode=True), nn.Flatten()), "ceil_mode"),
        (nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular"), nn.Flatten()), "circular"),
        (nn.Sequential(nn.ConvTranspose2d(3, 2, 3), nn.Flatten()), "transposed"),
        (nn.Sequential(nn.LeakyReLU(2.0), nn.Flatten()), "slope 2"),
        (nn.Sequential(nn.Linear(8, 2)), "logits"),
        (nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), "fails on samples"),
        (Branching(), "cannot follow"),
        (Product(), "not linear"),
        (Mixing(), "mixes|samples"),
        (Two(), "model"),
    ],
)
def test_what_has_no_bounds_is_refused(model, match):
    with pytest.raises(InvalidInput, match=match):
        interval_bounds(model, torch.rand(2, *SHAPE), 0.1)


def test_bad_classes_and_methods_are_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    x = torch.rand(2, *SHAPE)
    for classes in (torch.tensor([0, 3]), torch.tensor([0.0, 1.0]), torch.tensor([0]), torch.tensor([-1, 0])):
        with pytest.raises(InvalidInput, match="integers from 0 to 2"):
            margin_bounds(model, x, classes, 0.1)
    with pytest.raises(KeyError, match="crown"):
        margin_bounds(model, x, torch.tensor([0, 1]), 0.1, method="crwn")
    with pytest.raises(InvalidInput, match="float32 or"):
        interval_bounds(model, x, 0.1, dtype=torch.bfloat16)


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.ReLU())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    crown(model, torch.rand(2, *SHAPE), 0.1)
    assert model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
        assert value.dtype == before[key].dtype
    assert model[1].weight.requires_grad


def test_a_traced_model_gives_the_same_bounds_and_is_checked():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    x = torch.rand(2, *SHAPE)
    traced = trace(model, SHAPE, torch.float64)
    assert torch.equal(crown(traced, x, 0.1).low, crown(model, x, 0.1).low)
    with pytest.raises(InvalidInput, match="trace it anew"):
        crown(traced, x, 0.1, dtype=torch.float32)
    with pytest.raises(InvalidInput, match="trace it anew"):
        crown(traced, x[:, :2], 0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_margin_to_the_class_itself_is_zero(dtype):
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    y = torch.tensor([2, 0], dtype=torch.int32)
    found = margin_bounds(model, torch.rand(2, *SHAPE), y, 0.1, dtype=dtype)
    assert (found.gather(1, y.long()[:, None]) == 0).all()


def test_arguments_of_a_wrong_type_are_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    x = torch.rand(2, *SHAPE)
    for classes in ([0, 1], None, "a"):
        with pytest.raises(InvalidInput, match="classes"):
            margin_bounds(model, x, classes, 0.1)
    with pytest.raises(InvalidInput, match="integers"):
        margin_bounds(model, x, torch.tensor([True, False]), 0.1)
    with pytest.raises(InvalidInput, match="optimise"):
        crown(model, x, 0.1, optimise="yes")
    for image in (2, -1, 99, "a", True):
        with pytest.raises(InvalidInput, match="images 0 to 1"):
            interval_bounds(model, x, 0.1).plot(image)
    for budget in (0, -1, "a"):
        with pytest.raises(InvalidInput, match="budget"):
            interval_bounds(model, x, 0.1, budget=budget)


def test_refusals_name_the_users_module_in_one_line():
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(192, 3), nn.GELU()))
    with pytest.raises(InvalidInput) as caught:
        interval_bounds(model, torch.rand(2, *SHAPE), 0.1)
    assert str(caught.value).startswith("1.1: GELU has no bounds here")
    assert len(str(caught.value).splitlines()) == 1
    names = [node.name for node in trace(model[:1].append(model[1][0]), SHAPE, torch.float64).nodes]
    assert names[1:] == ["0", "1"]
