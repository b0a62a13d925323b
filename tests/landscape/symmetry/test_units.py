"""Units of networks that are no chains: split by any shares, they compute the same; what counts them is refused."""

import pytest
import torch
from tests.landscape.permutation import architectures as net
from torch import nn
from torch.nn import functional

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape.symmetry import module_with, split, split_unit, units

ROUNDING = 1e-10  # float64, shares of up to 3 in absolute value
RANDOM = torch.Generator().manual_seed(3)
IMAGES = torch.randn(4, 3, 8, 8, generator=RANDOM, dtype=torch.float64)
TOKENS = torch.randn(3, 5, 16, generator=RANDOM, dtype=torch.float64)


def resnet() -> nn.Module:
    """Three stages of residual blocks with batch normalisation, whose statistics are none of the first."""
    model = nets.resnet(8, channels=4, seed=0).double()
    model.train()(IMAGES)
    return model.eval()


NETWORKS = {
    "resnet": (resnet, IMAGES, 6),
    "transformer block": (lambda: nn.TransformerEncoderLayer(16, 4, 12, batch_first=True).double(), TOKENS, 1),
    "branches": (lambda: net.Branches().double().eval(), IMAGES, 4),
    "one matrix a head": (lambda: net.Stacked().double(), TOKENS[..., :5], 1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_outputs_and_the_loss_stay_along_the_expansion(name):
    torch.manual_seed(0)
    build, x, number = NETWORKS[name]
    model = build().eval()
    found = units(model, x)
    assert len(found.groups) == number
    expected = model(x).detach()
    target = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss = functional.mse_loss(expected, target)
    draw = torch.Generator().manual_seed(2)
    for group in found.groups:
        for _ in range(3):
            unit = int(torch.randint(group.size, (1,), generator=draw))
            free = 3 * torch.rand(2, generator=draw, dtype=torch.float64) - 1.5
            state = split_unit(found, model, group.name, unit, into=3, shares=[*free, 1 - free.sum()])
            assert any(state[name].shape != tensor.shape for name, tensor in model.state_dict().items())
            wide = torch.func.functional_call(model, state, x)
            torch.testing.assert_close(wide, expected, rtol=ROUNDING, atol=ROUNDING)
            assert functional.mse_loss(wide, target).item() == pytest.approx(loss.item(), rel=1e-9)


def test_a_widened_residual_network_is_a_module_and_normalises_batches_alike():
    model = resnet()
    found = units(model, IMAGES)
    wide = module_with(model, split_unit(found, model, "conv1.weight[0]", 1, shares=[0.2, 0.8]))
    assert (wide.conv1.out_channels, wide.bn1.num_features, wide.layer1[0].conv1.in_channels) == (5, 5, 5)
    torch.testing.assert_close(wide.train()(IMAGES), model.train()(IMAGES), rtol=ROUNDING, atol=ROUNDING)


def test_a_critical_point_stays_critical():
    """Targets whose residual is orthogonal to the tangent space of a residual network: gradients below 1e-11."""
    torch.manual_seed(0)
    model, x = _Residual().double(), torch.randn(60, 3, dtype=torch.float64)
    state = {name: p.detach() for name, p in model.named_parameters()}
    tangent = torch.func.jacrev(lambda own: torch.func.functional_call(model, own, (x,)))(state)
    J = torch.cat([t.reshape(120, -1) for t in tangent.values()], 1)
    off = torch.randn(120, dtype=torch.float64)
    y = model(x).detach().flatten() + off - J @ torch.linalg.lstsq(J, off[:, None], driver="gelsd").solution[:, 0]
    wide = split_unit(units(model, x), model, "first.weight[0]", 2, shares=[1.7, -0.7])
    slopes = torch.func.grad(lambda own: (torch.func.functional_call(model, own, (x,)).flatten() - y).square().mean())(
        wide
    )
    assert max(float(slope.abs().max()) for slope in slopes.values()) < 1e-11


class _Residual(nn.Module):
    """A stream that one matrix reads and writes: both of its axes are the group's."""

    def __init__(self):
        super().__init__()
        self.first, self.w, self.last = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.first(x)
        return self.last(x + torch.tanh(x @ self.w.weight.T + self.w.bias))


def test_chains_are_split_as_before():
    torch.manual_seed(1)
    chain = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5), nn.PReLU(5),
        nn.Linear(5, 2),
    ).double()  # fmt: skip
    found = units(chain, IMAGES)
    for layer, group in ((0, "0.weight[0]"), (1, "5.weight[0]")):
        own = split(chain, layer, 2, into=3, shares=[0.5, 0.7, -0.2])
        other = split_unit(found, chain, group, 2, into=3, shares=[0.5, 0.7, -0.2])
        assert own.keys() == other.keys()
        if layer:  # of the first the positions of a channel lie together, and those of the copies at the end
            assert all(torch.equal(own[name], other[name]) for name in own)
        torch.testing.assert_close(own["0.weight"], other["0.weight"], rtol=0, atol=0)
        wide = module_with(chain, other)
        torch.testing.assert_close(wide.eval()(IMAGES), chain.eval()(IMAGES), rtol=ROUNDING, atol=ROUNDING)


class Between(nn.Module):
    """An operation between two linear maps, on eight units."""

    def __init__(self, operation):
        super().__init__()
        self.first, self.last, self.operation = nn.Linear(16, 8), nn.Linear(8, 3), operation

    def forward(self, x):
        return self.last(self.operation(torch.tanh(self.first(x))))


class Tied(nn.Module):
    """A decoder that is its encoder transposed."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(8, 16))

    def forward(self, x):
        return torch.tanh(x @ self.w.T) @ self.w


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Between(nn.LayerNorm(8)), "layer_norm .* would count a copy"),
        (Between(lambda z: z - z.mean(-1, keepdim=True)), "mean .* would count a copy"),
        (Between(lambda z: z.softmax(-1)), "softmax .* would count a copy"),
        (Between(lambda z: z / z.shape[-1]), "changes the outputs"),
        (Between(lambda z: z.view(3, 5, 8)), "the model's code counts its units"),
        (Between(lambda z: z @ z.mT @ z), "sums over it without a parameter along it"),
        (Tied(), "'w' both writes it and reads it along axis 0, as tied weights do"),
        (nn.TransformerEncoderLayer(16, 4, 12, batch_first=True), "lies inside"),
    ],
    ids=["layer norm", "mean", "softmax", "width", "view", "gram", "tied", "heads"],
)
def test_what_cannot_be_split_says_why(model, reason):
    found = units(model, TOKENS.float())
    assert len(found.groups) == (1 if "lies inside" in reason else 0)
    name = next(name for name, told in found.refused.items() if reason.split(" .*")[0] in told)
    with pytest.raises(InvalidInput, match=f"cannot be split: .*{reason}"):
        split_unit(found, model, name, 0)
    assert "not to be split" in str(found)


def test_what_is_wrong_is_refused():
    model = resnet()
    found = units(model, IMAGES)
    name = found.groups[0].name
    with pytest.raises(UnknownName, match="group"):
        split_unit(found, model, "conv1", 0)
    with pytest.raises(InvalidInput, match="is pinned: an input of the model"):
        split_unit(found, model, "conv1.weight[1]", 0)
    with pytest.raises(InvalidInput, match="unit 4 of"):
        split_unit(found, model, name, 4)
    with pytest.raises(InvalidInput, match="sum to 1"):
        split_unit(found, model, name, 0, shares=[0.5, 0.6])
    with pytest.raises(InvalidInput, match="split by `units`"):
        split(model, 0, 0)
